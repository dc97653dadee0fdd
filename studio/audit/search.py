"""Read the audit log of the whole studio: pages with filters, and the log as a file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import connection
from psycopg import sql

from studio.audit.events import PAGE, Event, Person, event_of, kinds

BATCH: Final = 1000
_ABOVE: Final = 2**62

_WHERE: Final = sql.SQL("""
    e.id < %(below)s
    and (%(actions)s::text[] is null or e.action = any (%(actions)s::text[]))
    and (%(who_kind)s::text is null or (e.actor_kind = %(who_kind)s and e.actor_id = %(who_id)s))
    and (%(agent)s::text is null or e.agent_id = %(agent)s)
    and (%(since)s::date is null or e.at >= %(since)s::date)
    and (%(until)s::date is null or e.at < %(until)s::date + 1)
    order by e.id desc limit %(limit)s
""")
_PAGE: Final = """
select e.id, e.at, e.actor_kind, e.actor_id, e.actor, e.ip, e.action, e.object, e.reason,
    case when pg_column_size(e.data) <= 65536 then e.data
        else jsonb_build_object('changes', e.data -> 'changes', 'counts', e.data -> 'counts') end,
    e.agent_id, e.request_id,
    (select a.name from public.studio_agent a where a.id = e.agent_id)
from public.studio_auditevent e where {where}
"""
_LINES: Final = """
select e.id, jsonb_build_object('id', e.id, 'at', e.at, 'actor_kind', e.actor_kind, 'actor_id', e.actor_id,
    'actor', e.actor, 'ip', e.ip, 'request_id', e.request_id, 'agent_id', e.agent_id, 'action', e.action,
    'object', e.object, 'data', e.data, 'reason', e.reason,
    'prev_hash', encode(e.prev_hash, 'hex'), 'hash', encode(e.hash, 'hex'))::text
from public.studio_auditevent e where {where}
"""
_EVERYBODY: Final = """
    select 'person', id::text, coalesce(nullif(name, ''), email) as name from public.studio_user
    union all select 'key', prefix, 'key “' || name || '”' from public.studio_apikey
    union all select 'system', '', 'Agent Studio'
    order by 1 desc, 3 limit 1000
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of the log; empty ones match everything. Days are UTC and both included."""

    kind: str = ""
    who: str = ""
    agent: str = ""
    since: date | None = None
    until: date | None = None

    def values(self, below: int | None, limit: int) -> dict[str, Any]:
        who_kind, _, who_id = self.who.partition(":")
        return {
            "below": _ABOVE if below is None else below,
            "actions": kinds()[self.kind] if self.kind else None,
            "who_kind": who_kind if self.who else None,
            "who_id": who_id,
            "agent": self.agent or None,
            "since": self.since,
            "until": self.until,
            "limit": limit,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """An event, with the agent that it is about; `agent_name` is empty once that is removed."""

    event: Event
    agent_id: str
    agent_name: str
    request_id: str


def page(wanted: Wanted, below: int | None = None) -> tuple[list[Found], int | None]:
    """Read one page, newest first, and the id to continue below, if there is more."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(_PAGE).format(where=_WHERE), wanted.values(below, PAGE + 1))
        rows = [Found(event_of(*row[:10]), row[10], row[12] or "", row[11]) for row in cursor.fetchall()]
    return rows[:PAGE], rows[PAGE - 1].event.id if len(rows) > PAGE else None


def everybody() -> list[Person]:
    """Whoever may have done something: people by name, keys, and the studio itself."""
    with connection.cursor() as cursor:
        cursor.execute(_EVERYBODY)
        return [Person(*row) for row in cursor.fetchall()]


def lines(wanted: Wanted) -> Iterator[str]:
    """Write the log as NDJSON, newest first, with the hashes; each batch is a read of its own."""
    below: int | None = None
    while True:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(_LINES).format(where=_WHERE), wanted.values(below, BATCH))
            rows = cursor.fetchall()
        if not rows:
            return
        yield "".join(f"{line}\n" for _, line in rows)
        below = rows[-1][0]


def day(text: str) -> date | None:
    """Read a day, `2026-11-23`; anything else is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date() if len(text) == 10 else None
    except ValueError:
        return None
