"""Read the audit log of one agent: newest first, by kind and by person, and with the sign-ins behind it.

A sign-in belongs to no agent. It is listed with an agent that it touched: the same person did
something there after it and before their next sign-in. Whoever is signed in on two devices at once
is so counted to the later sign-in.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from studio.audit.record import ACTIONS

PAGE: Final = 50
# Kinds of events: the word that a person reads, and how the names of their actions begin.
KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "settings": ("Settings", ("settings.",)),
    "deletions": ("Deletions", ("threads.delete",)),
    "reading": ("Reading", ("thread.read", "threads.search")),
    "downloads": ("Downloads", ("thread.export", "threads.export")),
    "agent": ("Agent", ("agent.",)),
    "access": ("Keys and connections", ("key.", "database.")),
    "sign-ins": ("Sign-ins", ("person.sign_",)),
    "people": ("People", ("person.", "link.", "audit.")),
}

_ABOVE: Final = 2**62  # all ids
LARGEST_FIRST: Final = ("threads", "runs", "messages", "users")

# `touched` walks back from one person's sign-in to their last act here before it and on to the
# sign-in before that act: two index probes for each sign-in found, however many there are. The
# first step looks from their first sign-in that is not below the page. Large data (the ids of
# 10,000 threads) stays in the database.
_SQL: Final = """
with recursive who as (
    (select e.actor_kind, e.actor_id, e.actor from studio_auditevent e where e.agent_id = %(agent)s
     order by e.actor_kind, e.actor_id, e.id desc limit 1)
    union all
    select n.* from who cross join lateral (
        select e.actor_kind, e.actor_id, e.actor from studio_auditevent e
        where e.agent_id = %(agent)s and (e.actor_kind, e.actor_id) > (who.actor_kind, who.actor_id)
        order by e.actor_kind, e.actor_id, e.id desc limit 1) n
), own as (
    select e.id from studio_auditevent e
    where e.agent_id = %(agent)s and e.id < %(below)s
        and (%(actions)s::text[] is null or e.action = any (%(actions)s::text[]))
        and (%(who_kind)s::text is null or (e.actor_kind = %(who_kind)s and e.actor_id = %(who_id)s))
    order by e.id desc limit %(limit)s
), touched as (
    select who.actor_id, s.id, 1 as step from who
    cross join lateral (select coalesce(min(e.id), %(above)s) as id from studio_auditevent e
        where e.action = 'person.sign_in' and e.actor_id = who.actor_id
        and e.id >= %(below)s) next
    cross join lateral (select max(e.id) as id from studio_auditevent e where e.agent_id = %(agent)s
        and e.actor_kind = 'person' and e.actor_id = who.actor_id and e.id < next.id) act
    cross join lateral (select max(e.id) as id from studio_auditevent e
        where e.action = 'person.sign_in' and e.actor_id = who.actor_id and e.id < act.id) s
    where %(sign_ins)s and who.actor_kind = 'person' and s.id is not null
        and (%(who_kind)s::text is null or (%(who_kind)s = 'person' and who.actor_id = %(who_id)s))
    union all
    select t.actor_id, s.id, t.step + 1 from touched t
    cross join lateral (select max(e.id) as id from studio_auditevent e where e.agent_id = %(agent)s
        and e.actor_kind = 'person' and e.actor_id = t.actor_id and e.id < t.id) act
    cross join lateral (select max(e.id) as id from studio_auditevent e
        where e.action = 'person.sign_in' and e.actor_id = t.actor_id and e.id < act.id) s
    where s.id is not null and t.step < %(limit)s
), page as (
    select id from (select id from own union all select id from touched) both_kinds order by id desc limit %(limit)s
)
select (select jsonb_agg(jsonb_build_array(actor_kind, actor_id, actor) order by lower(actor), actor_id) from who),
    a.id, a.at, a.actor_kind, a.actor_id, a.actor, a.ip, a.action, a.object, a.reason,
    case when pg_column_size(a.data) <= 65536 then a.data
        else jsonb_build_object('changes', a.data -> 'changes', 'counts', a.data -> 'counts') end
from (select 1) one left join (page join studio_auditevent a using (id)) on true
order by a.id desc
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever acts: a person, a key or the studio; `key` names them in a URL, e.g. `person:5`."""

    kind: str
    id: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the log, as it is shown."""

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
        how = self.data.get("how")
        return ACTIONS.get(self.action, self.action) + (f" ({how})" if isinstance(how, str) else "")

    @property
    def is_about_a_thread(self) -> bool:
        """Whether `object` is the id of one thread, which may be there still."""
        return self.action.startswith("thread.") and bool(self.object)

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """What changed, as (field, before, after)."""
        changes = self.data.get("changes")
        pairs = changes.items() if isinstance(changes, dict) else ()
        return [(name, *pair) for name, pair in pairs if isinstance(pair, list) and len(pair) == 2]

    @property
    def counts(self) -> list[tuple[int, str]]:
        """How much of what, as (number, words): (3, "tool calls")."""
        counts = self.data.get("counts")
        pairs = counts.items() if isinstance(counts, dict) else ()
        known = [(name, n) for name, n in pairs if isinstance(n, int) and not isinstance(n, bool)]
        # jsonb keeps no order
        known.sort(key=lambda one: (LARGEST_FIRST.index(one[0]) if one[0] in LARGEST_FIRST else 9, one[0]))
        return [(n, _noun(name, n)) for name, n in known]


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first; `older` is the id to continue below, if there are more."""

    events: list[Event] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    older: int | None = None


def of_agent(agent_id: str, *, kind: str = "", who: str = "", below: int | None = None) -> Page:
    """Read one page of an agent's log, and everybody who is in it, in one query.

    `kind` is one of `kinds()` or empty, `who` a Person's key or empty, `below` excludes that id and all after it.
    """
    actor_kind, _, actor_id = who.partition(":")
    values: dict[str, Any] = {
        "agent": agent_id,
        "below": _ABOVE if below is None else below,
        "above": _ABOVE,
        "actions": kinds()[kind] if kind else None,
        "who_kind": actor_kind if who else None,
        "who_id": actor_id,
        "sign_ins": kind in ("", "sign-ins"),
        "limit": PAGE + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL, values)
        rows = cursor.fetchall()
    people = [Person(*one) for one in json.loads(rows[0][0] or "[]")]
    events = [event_of(*row[1:]) for row in rows if row[1] is not None]
    return Page(events[:PAGE], people, events[PAGE - 1].id if len(events) > PAGE else None)


def kinds() -> dict[str, list[str]]:
    """Return the actions of each kind; `other` holds those of no kind and is absent without any."""
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
