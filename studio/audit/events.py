"""Events of the audit log as a page shows them: the person, the action in words, and kinds to filter by."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from studio.audit.record import ACTIONS

# Kinds of events: the label, and the prefixes of their actions. The first match counts, so sign-ins come
# before people.
KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "settings": ("Settings", ("settings.",)),
    "deletions": ("Deletions", ("threads.delete",)),
    "reading": ("Reading", ("thread.read", "threads.search")),
    "downloads": ("Downloads", ("thread.export",)),
    "agent": ("Agent", ("agent.",)),
    "access": ("Keys and connections", ("key.", "database.", "secret.")),
    "sign-ins": ("Sign-ins", ("person.sign_",)),
    "refusals": ("Refusals", ("refusal.",)),
    "people": ("People", ("person.", "link.", "audit.")),
}

LARGEST_FIRST: Final = ("threads", "runs", "messages", "tool_calls", "errors", "users")


@dataclass(frozen=True, slots=True)
class Person:
    """A person, an API key or the studio as an actor."""

    kind: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the log as a page shows it."""

    id: int
    at: datetime
    by: Person
    ip: str
    action: str
    object: str
    reason: str
    data: dict[str, Any]

    @property
    def words(self) -> str:
        more = [text for name in ("how", "why") if isinstance(text := self.data.get(name), str) and text]
        return ACTIONS.get(self.action, self.action) + (f" ({', '.join(more)})" if more else "")

    @property
    def is_about_a_thread(self) -> bool:
        """Whether `object` is the id of a thread, which may exist no longer."""
        return self.action.startswith("thread.") and bool(self.object)

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """The changes, as (field, before, after)."""
        changes = self.data.get("changes")
        pairs = changes.items() if isinstance(changes, dict) else ()
        return [(name, *pair) for name, pair in pairs if isinstance(pair, list) and len(pair) == 2]

    @property
    def counts(self) -> list[tuple[int, str]]:
        """The counts of the event, as (number, words), e.g. (3, "tool calls")."""
        counts = self.data.get("counts")
        pairs = counts.items() if isinstance(counts, dict) else ()
        known = [(name, n) for name, n in pairs if isinstance(n, int) and not isinstance(n, bool)]
        # jsonb does not keep the order in which the counts were written
        known.sort(key=lambda one: (LARGEST_FIRST.index(one[0]) if one[0] in LARGEST_FIRST else 9, one[0]))
        return [(n, _noun(name, n)) for name, n in known]


def kinds() -> dict[str, list[str]]:
    """Return the actions of each kind; actions of no kind are under `other`, if there are any."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for action in ACTIONS:
        kind = next((kind for kind, (_, starts) in KINDS.items() if action.startswith(starts)), "other")
        found.setdefault(kind, []).append(action)
    return found


def kind_labels() -> list[tuple[str, str]]:
    return [(kind, KINDS[kind][0] if kind in KINDS else "Other") for kind in kinds()]


def event_of(
    id: int,
    at: datetime,
    kind: str,
    actor_id: str,
    actor: str,
    ip: str,
    action: str,
    object: str,
    reason: str,
    data: str,
) -> Event:
    found = json.loads(data)
    return Event(
        id, at, Person(kind, actor_id, actor), ip, action, object, reason, found if isinstance(found, dict) else {}
    )


def _noun(name: str, count: int) -> str:
    words = name.replace("_", " ")
    return words.removesuffix("s") if count == 1 else words
