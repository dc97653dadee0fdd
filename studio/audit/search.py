"""Reading the audit log: pages with filters, the people and agents to filter by, and a download."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from django.db import connection
from psycopg import sql

from studio.audit.events import Event, event_of, kinds
from studio.postgres.backend.plans import planned_with_values

PAGE: Final = 50
BATCH: Final = 1000
# characters of a value of a change that a list shows, and one more, by which a page knows that it is cut
SHOWN: Final = 80
# bytes of a batch of lines
BATCH_BYTES: Final = 4_000_000

# A page shows changes and counts only, so that is all it fetches of large data, and of long values the beginning
# unless the whole event is asked for. `||` with an empty value unpacks the data, for its unpacked size.
_PAGE: Final = """
    select e.id, e.at, e.actor_kind, e.actor_id, e.actor, e.ip, e.action,
        case when octet_length(e.object) <= 4096 then e.object else left(e.object, 200) end, left(e.reason, 1000),
        case when pg_column_size(e.data || '{{}}') <= 2000 or e.id = %(whole)s then e.data
            else jsonb_build_object('counts', e.data -> 'counts', 'changes', (
                select jsonb_object_agg(left(c.name, 200), (
                    select jsonb_agg(case when length(v #>> '{{}}') > {shown} then to_jsonb(left(v #>> '{{}}', {shown}))
                        else v end order by n)
                    from jsonb_array_elements(c.pair) with ordinality x (v, n)))
                from jsonb_each(e.data -> 'changes') c (name, pair) where jsonb_typeof(c.pair) = 'array'
            )) end,
        e.agent_id, (select a.name from public.studio_agent a where a.id = e.agent_id), e.request_id
    from public.studio_auditevent e where {where} order by e.id desc limit %(limit)s"""
_LINES: Final = """
    with line as (
        select e.id, jsonb_build_object('id', e.id, 'at', e.at, 'actor_kind', e.actor_kind, 'actor_id', e.actor_id,
        'actor', e.actor, 'ip', e.ip, 'request_id', e.request_id, 'agent_id', e.agent_id, 'action', e.action,
        'object', e.object, 'data', e.data, 'reason', e.reason,
        'prev_hash', encode(e.prev_hash, 'hex'), 'hash', encode(e.hash, 'hex'))::text as text
        from public.studio_auditevent e where {where} order by e.id desc limit %(limit)s
    ), weighed as (
        select *, sum(octet_length(text)) over (order by id desc) - octet_length(text) as before from line
    )
    select id, text from weighed where before < {most} order by id desc"""
_EVERYBODY: Final = """
    select 'person', id::text, coalesce(nullif(name, ''), email) as name, email from public.studio_user
    union all select 'key', prefix, 'key “' || name || '”', prefix from public.studio_apikey
    union all select 'system', '', 'Agent Studio', ''
    union all select 'visitor', '', 'Somebody', ''
    order by 1 desc, 3 limit 1000"""
_AGENTS: Final = """
    select id, name, '' from public.studio_agent
    union all (
        select distinct on (e.agent_id) e.agent_id, e.object, 'removed' from public.studio_auditevent e
        where e.action = 'agent.remove' and not exists (select from public.studio_agent a where a.id = e.agent_id)
        order by e.agent_id, e.id desc)
    order by 3, 2, 1 limit 1000"""
# A loose index scan: one step of the recursion finds the next person in the index. `select distinct` would
# read every event of the agent.
_PEOPLE_OF: Final = """
    with recursive who as (
        (select e.actor_kind, e.actor_id, e.actor from public.studio_auditevent e where e.agent_id = %(agent)s
         order by e.actor_kind, e.actor_id, e.id desc limit 1)
        union all
        select n.* from who cross join lateral (
            select e.actor_kind, e.actor_id, e.actor from public.studio_auditevent e
            where e.agent_id = %(agent)s and (e.actor_kind, e.actor_id) > (who.actor_kind, who.actor_id)
            order by e.actor_kind, e.actor_id, e.id desc limit 1) n
    )
    select actor_kind, actor_id, actor, actor_id from who order by lower(actor), actor_id"""


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of the log; empty ones match everything. Days are in UTC, and both are included."""

    kind: str = ""
    who: str = ""
    agent: str = ""
    since: date | None = None
    until: date | None = None

    def where(self, below: int | None) -> tuple[sql.Composable, dict[str, Any]]:
        """Return the filters as a condition on the event `e`, and its values; only ids less than `below` match."""
        who_kind, _, who_id = self.who.partition(":")
        terms: list[tuple[bool, str, dict[str, Any]]] = [
            (below is not None, "e.id < %(below)s", {"below": below}),
            (bool(self.kind), "e.action = any (%(actions)s)", {"actions": kinds().get(self.kind)}),
            (
                bool(self.who),
                "e.actor_kind = %(who_kind)s and e.actor_id = %(who_id)s",
                {"who_kind": who_kind, "who_id": who_id},
            ),
            (bool(self.agent), "e.agent_id = %(agent)s", {"agent": self.agent}),
            (self.since is not None, "e.at >= %(since)s", {"since": self.since}),
            (self.until is not None, "e.at < %(until)s::date + 1", {"until": self.until}),
        ]
        chosen = [(term, values) for is_on, term, values in terms if is_on] or [("true", {})]
        condition = sql.SQL(" and ").join(sql.SQL(term) for term, _ in chosen)
        return condition, {name: value for _, values in chosen for name, value in values.items()}


class Choice(NamedTuple):
    """A person or an agent to filter by: the filter's value, the name, and what tells two of one name apart."""

    value: str
    name: str
    hint: str


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event and its agent; `agent_name` is empty for an agent that was removed."""

    event: Event
    agent_id: str
    agent_name: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of events, newest first; `older` is the last id if there are more, for the page below."""

    found: list[FoundEvent]
    older: int | None


def page(wanted: Filters, below: int | None = None, whole: int | None = None) -> Page:
    """Read one page of events that match and, if `below` is given, are older than that event.

    Long values of a change are cut, but for the event `whole`.
    """
    rows = [
        FoundEvent(event_of(*row[:10]), row[10], row[11] or "", row[12])
        for row in _read(_PAGE, wanted, below, PAGE + 1, whole=whole)
    ]
    return Page(rows[:PAGE], rows[PAGE - 1].event.id if len(rows) > PAGE else None)


def lines(wanted: Filters) -> Iterator[str]:
    """Yield the log as NDJSON with its hashes, newest first."""
    # in batches, each a statement of its own: none takes long, and the whole log is never in memory
    below: int | None = None
    while rows := _read(_LINES, wanted, below, BATCH):
        yield "".join(f"{line}\n" for _, line in rows)
        below = rows[-1][0]


def all_actors() -> list[Choice]:
    """List all possible actors: people by name, keys, and the studio itself."""
    return [Choice(f"{kind}:{id}", name, hint) for kind, id, name, hint in _all(_EVERYBODY)]


def actors_of(agent_id: str) -> list[Choice]:
    """List the actors of an agent's events, by name."""
    return [Choice(f"{kind}:{id}", name, hint) for kind, id, name, hint in _all(_PEOPLE_OF, agent=agent_id)]


def all_agents() -> list[Choice]:
    """List all agents by name, then those that were removed."""
    return [Choice(id, f"{name} ({state})" if state else name, id) for id, name, state in _all(_AGENTS)]


def _all(query: str, **values: str) -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        rows: list[tuple[str, ...]] = cursor.fetchall()
        return rows


def _read(
    query: str, wanted: Filters, below: int | None, limit: int, whole: int | None = None
) -> list[tuple[Any, ...]]:
    condition, values = wanted.where(below)
    limits = {"shown": sql.Literal(SHOWN + 1), "most": sql.Literal(BATCH_BYTES)}
    with planned_with_values(), connection.cursor() as cursor:
        statement = sql.SQL(query).format(where=condition, **limits)
        cursor.execute(statement, {**values, "limit": limit, "whole": whole})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
