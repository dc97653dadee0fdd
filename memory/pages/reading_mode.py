"""The way in which somebody reads a thread, and addresses that keep it."""

from dataclasses import dataclass
from functools import cached_property

from django.urls import reverse
from django.utils.http import urlencode

from studio.web import with_query


@dataclass(frozen=True)
class ReadingMode:
    """The order of a thread's runs, whether texts are raw, and the ticket that proves its opening was logged."""

    agent_id: str
    session_id: str
    order: str = "newest"
    raw: bool = False
    ticket: str = ""

    @cached_property
    def address(self) -> str:
        return reverse("thread", args=[self.agent_id, self.session_id])

    def link(self, **query: str) -> str:
        """Return the thread's address in this mode; `query` adds to it or replaces parts of it."""
        kept = {"order": "oldest" if self.order == "oldest" else "", "raw": "1" if self.raw else ""}
        return with_query(self.address, **{**kept, **query})

    @property
    def start(self) -> str:
        return self.link()

    @property
    def oldest_first(self) -> str:
        return self.link(order="oldest")

    @property
    def newest_first(self) -> str:
        return self.link(order="")

    @property
    def as_raw(self) -> str:
        return self.link(raw="1")

    @property
    def rendered(self) -> str:
        return self.link(raw="")

    def page(self, cursor: str) -> dict[str, str]:
        """Return the addresses of another page of runs: `href` for a browser, `part` for htmx."""
        href = self.link(cursor=cursor)
        return {"href": href, "part": self.part(href)}

    def part(self, href: str) -> str:
        """Add the ticket to an address, for htmx."""
        return f"{href}{'&' if '?' in href else '?'}{urlencode({'ticket': self.ticket})}"
