"""What a page of runs is made of, ready for its templates."""

from dataclasses import dataclass, field
from functools import cached_property

from django.urls import reverse
from django.utils.http import urlencode

from memory.transcript.model import Message, Run, Step, ToolCall


@dataclass(frozen=True)
class Reading:
    """How somebody reads a thread: where from, in which order, raw or rendered, and their ticket."""

    agent_id: str
    session_id: str
    order: str = "newest"
    raw: bool = False
    ticket: str = ""

    @cached_property
    def address(self) -> str:
        return reverse("thread", args=[self.agent_id, self.session_id])

    def link(self, **query: str) -> str:
        """The thread's address, read in the same way from somewhere else."""
        kept = {"order": "oldest" if self.order == "oldest" else "", "raw": "1" if self.raw else "", **query}
        found = urlencode({name: value for name, value in kept.items() if value})
        return f"{self.address}?{found}" if found else self.address

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
        """Addresses of another page of runs: for a browser, and for htmx."""
        href = self.link(cursor=cursor)
        return {"href": href, "part": self.part(href)}

    def part(self, href: str) -> str:
        """The same address for htmx, which shows that the opening was logged."""
        return f"{href}{'&' if '?' in href else '?'}{urlencode({'ticket': self.ticket})}"


@dataclass(slots=True)
class Block:
    """A text for the page: its `content`, escaped there unless it is rendered Markdown, and its `style`.

    `href` leads to the whole text, `part` for htmx; both are empty where all of it is shown.
    """

    content: str
    style: str
    size: int
    cut: bool = False
    href: str = ""
    part: str = ""


@dataclass(slots=True)
class CallCard:
    call: ToolCall
    preview: str
    args: Block | None
    result: Block | None


@dataclass(slots=True)
class MessageCard:
    message: Message
    anchor: str
    block: Block
    reasoning: Block | None
    calls: list[CallCard]


@dataclass(slots=True)
class Card:
    """One run of the page, and the runs inside it."""

    run: Run
    anchor: str = ""
    href: str = ""
    json_href: str = ""
    elsewhere: str = ""  # where the run is that this one belongs to, when not on this page
    too_large: bool = False
    sent: bool = False
    left_out: bool = False
    words: str = ""
    tone: str = ""
    state: str = ""
    speaker: str | None = None
    note: Block | None = None
    messages: list[MessageCard] = field(default_factory=list)
    answer: list[MessageCard] = field(default_factory=list)
    steps: list[tuple[Step, Block]] = field(default_factory=list)
    cards: list["Card"] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)

    def end_with_answer(self) -> None:
        """Take the answer out of the messages, to stand below the runs and steps that led to it."""
        last = self.messages[-1] if self.messages else None
        if last and (self.cards or self.steps) and last.message.role == "assistant" and last.block.content:
            self.answer = [self.messages.pop()]
        for card in self.cards:
            card.end_with_answer()
