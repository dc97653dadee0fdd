"""The query string of a list of threads: reading it, writing it, and its filters as chips."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import QueryDict

from memory.index.filters import Part
from memory.index.threads import DEFAULT_SORT, SORTS, Filter
from memory.pages.words import STATUSES, Status, name_of_user
from studio import ids
from studio.web import day, with_query

PERIODS: Final = {
    "24h": ("Last 24 hours", 86_400),
    "7d": ("Last 7 days", 7 * 86_400),
    "30d": ("Last 30 days", 30 * 86_400),
    "90d": ("Last 90 days", 90 * 86_400),
}
# which of a user's threads; "any" stands where nothing would be read as "owned"
PARTS: Final = {"any": "they own or took part in", "owned": "they own", "joined": "they only took part in"}
LONGEST: Final = 200
_ROLES: Final = {"owned": "Owner", "joined": "Took part"}
_SECONDS: Final = re.compile(r"-?\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on: its text, and the query string without it."""

    text: str
    without: str


@dataclass(frozen=True, slots=True)
class ThreadQuery:
    """Filters and order of a list of threads.

    `part` is one of PARTS, or "" where it was not said. `since` and `until` are days in UTC like `2026-11-22`, both
    included, or epoch seconds.
    """

    user: str | None = None
    part: str = ""
    q: str = ""
    status: str = ""
    active: str = ""
    since: str = ""
    until: str = ""
    errors: bool = False
    shared: bool = False
    sort: str = DEFAULT_SORT

    @classmethod
    def read(cls, data: QueryDict) -> "ThreadQuery":
        """Read a query string or a form; raise ValueError for what no page of ours would send."""
        if any("\x00" in value for _, values in data.lists() for value in values):
            raise ValueError("NUL")
        active, sort, part = data.get("active", ""), data.get("sort", ""), data.get("part", "")
        # a filter that is left out would show, and delete, more than was asked for
        known = active in ("", *PERIODS) and part in ("", *PARTS)
        if not known or {data.get("errors", ""), data.get("shared", "")} - {"", "0", "1"}:
            raise ValueError("no such filter")
        found = cls(
            user=_user(data.get("user", "")),
            part=part,
            q=" ".join(data.get("q", "").split())[:LONGEST],
            status=data.get("status", "")[:LONGEST],
            active=active,
            since=data.get("since", ""),
            until=data.get("until", ""),
            errors=data.get("errors") == "1",
            shared=data.get("shared") == "1",
            sort=sort if sort in SORTS else DEFAULT_SORT,
        )
        # raises ValueError for a wrong day
        found.filter(0)
        return found

    def filter(self, now: int) -> Filter:
        """Return the filter with days and periods as epoch seconds; `now` is in epoch seconds too."""
        since = _seconds(self.since, timedelta())
        if self.active:
            start = now - PERIODS[self.active][1]
            since = start if since is None else max(since, start)
        until = _seconds(self.until, timedelta(days=1))
        part: Part = "owned" if self.part == "owned" else "joined" if self.part == "joined" else ""
        return Filter(self.user, self.q, self.status, since, until, self.errors, self.shared, part)

    def fixed(self, now: int) -> "ThreadQuery":
        """Return the query with periods as fixed times, so that it finds the same threads later."""
        filter = self.filter(now)
        return replace(
            self,
            active="",
            since="" if filter.since is None else str(filter.since),
            until="" if filter.until is None else str(filter.until),
        )

    def fields(self) -> dict[str, str]:
        """Return what differs from a list without filters, as form fields."""
        values: dict[str, Any] = {
            "q": self.q,
            "user": None if self.user is None else ids.encode(self.user),
            "part": self.part,
            "status": self.status,
            "active": self.active,
            "since": self.since,
            "until": self.until,
            "errors": "1" if self.errors else "",
            "shared": "1" if self.shared else "",
            "sort": "" if self.sort == DEFAULT_SORT else self.sort,
        }
        return {name: value for name, value in values.items() if value}

    def encoded(self, **changes: Any) -> str:
        """Write the query, with changes, as `?…`; "" for a list without filters."""
        return with_query("", **(replace(self, **changes) if changes else self).fields())

    @property
    def is_filtered(self) -> bool:
        return self != ThreadQuery(sort=self.sort, part=self.part)

    @property
    def is_backwards(self) -> bool:
        """Whether From is after Until, so that no day is between them."""
        filter = self.filter(0)
        return filter.since is not None and filter.until is not None and filter.since >= filter.until

    @property
    def has_more(self) -> bool:
        """Whether a filter is on that the folded part of the form has."""
        return bool(self.since or self.until or self.user is not None)

    @property
    def typed_user(self) -> str:
        """The user for a text field; an id that a text field would change is encoded as in addresses."""
        user = self.user or ""
        return user if user and user.isprintable() and not user.startswith("~") else self.fields().get("user", "")

    @property
    def chips(self) -> list[Chip]:
        """The filters that are on."""
        named = {
            "user": f"{_ROLES.get(self.part, 'User')}: {name_of_user(self.user or '')}",
            "q": f"“{self.q}”",
            "status": f"Last run: {STATUSES.get(self.status, Status(self.status)).word}",
            "active": f"Active: {PERIODS.get(self.active, ('', 0))[0].lower()}",
            "since": f"From {_day_or_time(self.since)}",
            "until": f"Until {_day_or_time(self.until)}",
            "errors": "Has errors",
            "shared": "Shared",
        }
        empty = ThreadQuery()
        return [
            Chip(text, self.encoded(**{name: getattr(empty, name)}, **({"part": ""} if name == "user" else {})))
            for name, text in named.items()
            if getattr(self, name) != getattr(empty, name)
        ]


def _user(text: str) -> str | None:
    """Read a user's id as it was typed; one that begins with ~ is encoded as in addresses, if that can be read."""
    try:
        user = ids.decode(text) if text.startswith("~") else text
    except ValueError:
        user = text
    return ids.key_of(user) if text else None


def _seconds(text: str, past: timedelta) -> int | None:
    """Read a day as its first second plus `past`, or epoch seconds as they are; None for ""."""
    if not text:
        return None
    begins = day(text)
    if begins is not None:
        return int(datetime.combine(begins, datetime.min.time(), UTC).timestamp() + past.total_seconds())
    if _SECONDS.fullmatch(text):
        return int(text)
    raise ValueError("not a day")


def _day_or_time(text: str) -> str:
    if not _SECONDS.fullmatch(text):
        return text
    try:
        return f"{datetime.fromtimestamp(int(text), UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return text
