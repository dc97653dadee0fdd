"""A thread as Agno would read it, from Agno's own tables: all of a small one, the newest runs of a large one."""

import json
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from memory.history.agno_order import UNPARSED, Placed, Stored, TableRow
from memory.query import Row, fetch
from memory.transcript.values import LONGEST_RUN_ID
from studio import ids

# A thread is read whole up to so many runs, and bytes as stored and as JSON.
WHOLE_RUNS: Final = 100
WHOLE_STORED: Final = 500_000
WHOLE_TEXT: Final = 4_000_000
_LONGEST: Final = 10_000
# of a summary, in bytes as stored
_LARGE: Final = 20_000

# The thread's row, then its runs in Agno's order.
_THREAD: Final = """
    with thread as materialized (
        select s.user_id, s.session_type, s.summary::jsonb as summary, s.session_data::jsonb as session_data,
            s.metadata::jsonb as metadata, memory_column(s.session_id) as runs
        from agno_sessions s where s.session_id = %(session_id)s
    ), {part}
    select p.is_thread, p.run_id, p.run_index, p.created_at, p.position, p.data, p.is_whole,
        left(t.user_id, {longest}) as owner, t.session_type,
        -- of a large one each key with a short value
        case when pg_column_size(t.summary) <= {large} or jsonb_typeof(t.summary) <> 'object' then t.summary::text
            else (select jsonb_object_agg(key, case jsonb_typeof(value) when 'string'
                    then to_jsonb(left(value #>> '{{}}', {longest})) when 'array' then '[]' else '0' end)::text
                from (select key, value from jsonb_each(t.summary) limit 1000) e) end as summary,
        jsonb_typeof(t.session_data) as session_data,
        case when jsonb_typeof(t.metadata) = 'object' then '{{}}' when octet_length(t.metadata::text) > {longest}
            then '0' else t.metadata::text end as metadata,
        exists (select from agno_runs r where r.session_id = %(session_id)s) as has_rows,
        -- null, [] and other values that are empty have at most 12 bytes
        coalesce(pg_column_size(t.runs) > 12, false) as has_column
    from part p left join thread t on p.is_thread order by p.is_thread desc, p.place"""

# All runs, the column as one value; `data` is null in all of them if there is too much.
_WHOLE: Final = """
    run as materialized (
        select run_id, run_index, created_at, run_data from agno_runs where session_id = %(session_id)s
    ), size as (
        select coalesce(pg_column_size(t.runs), 0) + coalesce((select sum(pg_column_size(r.run_data)) from run r), 0)
            <= {stored} as is_small from thread t
    ), text as materialized (
        select true as is_thread, null as run_id, null::bigint as run_index, null::bigint as created_at,
            case when z.is_small then t.runs::text end as data, z.is_small from thread t, size z
        union all
        select false, r.run_id, r.run_index, r.created_at, r.run_data::text, true from run r, size z where z.is_small
    ), weighed as (
        select x.*, coalesce(sum(octet_length(x.data)) over (), 0) <= {text} and x.is_small as is_whole from text x
    ), part as (
        select w.is_thread, w.run_id, w.run_index, w.created_at, null::bigint as position, w.is_whole,
            case when w.is_whole then w.data end as data,
            row_number() over (order by w.run_index, w.created_at, w.run_id) as place
        from weighed w
    )"""

# What decides which messages of a run are sent, with "x" for texts. `m` and `d` are a message and a run.
_MESSAGE: Final = """
    case when jsonb_typeof(m) <> 'object' then '0' else jsonb_build_object(
        'role', m -> 'role', 'from_history', coalesce(m -> 'from_history', 'false'),
        'tool_call_id', m -> 'tool_call_id',
        'content', case jsonb_typeof(m -> 'content') when 'string' then
                case when m -> 'content' = '""' then '""' else '"x"' end::jsonb
            when 'array' then case when m -> 'content' = '[]' then '[]' else '[0]' end::jsonb
            when 'object' then '{}' else m -> 'content' end,
        'tool_calls', case when jsonb_typeof(m -> 'tool_calls') = 'array' then (
                select coalesce(jsonb_agg(case when jsonb_typeof(c) = 'object'
                    then jsonb_build_object('id', c -> 'id') else '0' end order by k), '[]')
                from jsonb_array_elements(m -> 'tool_calls') with ordinality x (c, k))
            when jsonb_typeof(m -> 'tool_calls') = 'object' then '{}' else m -> 'tool_calls' end) end"""
_OUTLINE: Final = """
    case when jsonb_typeof(o.data) <> 'object' then o.data else (
        select case when o.data ? 'agent_id' then '{{"agent_id": null}}' else '{{}}' end::jsonb
            || case when o.data ? 'team_id' then '{{"team_id": null}}' else '{{}}' end::jsonb
            || case when o.data ? 'run' and jsonb_typeof(o.data -> 'run') <> 'object' then '{{"run": 0}}'
                else '{{}}' end::jsonb
            || jsonb_build_object('parent_run_id', d -> 'parent_run_id', 'status', d -> 'status', 'messages',
                case when jsonb_typeof(d -> 'messages') = 'array' then (
                        select jsonb_agg({message} order by n)
                        from jsonb_array_elements(d -> 'messages') with ordinality e (m, n))
                    when d -> 'messages' in ('null', '""', '{{}}', '0', 'false') or not d ? 'messages' then 'null'
                    else '0.5' end)
        from (select case when o.data ? 'agent_id' and jsonb_typeof(o.data -> 'run') = 'object' then o.data -> 'run'
            else o.data end as d offset 0) i) end::text"""

# The newest runs in Agno's order, newest first; of a column whose first element is no object, none.
_OF_COLUMN: Final = """
    select n - 1 + greatest(length - %(limit)s, 0) as position, null as run_id, e.run as data, n as place
    from (select jsonb_path_query_array(c.runs, %(path)s::jsonpath) as part, jsonb_array_length(c.runs) as length
        from (select memory_column(%(session_id)s) #> '{}' as runs offset 0) c
        where jsonb_typeof(c.runs) = 'array' and jsonb_typeof(c.runs -> 0) = 'object' offset 0) p
    cross join lateral jsonb_array_elements(p.part) with ordinality as e (run, n)
    order by n desc"""
# `offset 0` makes Postgres sort before it looks into run_data, so that only runs up to the limit are unpacked.
_OF_TABLE: Final = """
    select null::bigint as position, r.run_id, r.run_data::jsonb as data, row_number() over () * -1 as place from (
        select s.run_id, s.run_data from agno_runs s where s.session_id = %(session_id)s
        order by s.run_index desc nulls first, s.created_at desc, s.run_id desc limit %(limit)s offset 0) r"""
# Merged as Agno 3 does it: the column in its order, a row of the table in place of the element with its run_id, then
# the table's other rows.
_OF_BOTH: Final = """
    select case when run_data is null then n - 1 end as position, run_id, coalesce(run_data::jsonb, run) as data,
        row_number() over (order by n nulls last, run_index, created_at, run_id) as place
    from (
        select e.n, e.run, e.run ->> 'run_id' as run_id
        from (select memory_column(%(session_id)s) #> '{}' as runs offset 0) c
        cross join lateral jsonb_array_elements(memory_elements(c.runs)) with ordinality as e (run, n)
        where e.run ->> 'run_id' is not null
    ) element full join (
        select run_id, run_index, created_at, run_data from agno_runs where session_id = %(session_id)s
    ) own using (run_id)
    order by place desc limit %(limit)s"""
# `#>` unpacks a run once, which each access to a field would else do again.
_NEWEST: Final = """
    newest as materialized (
        select o.position, o.run_id, {outline} as data, o.place
        from (select position, run_id, data #> '{{}}' as data, place from ({source}) s offset 0) o
    ), part as (
        select true as is_thread, null as run_id, null::bigint as run_index, null::bigint as created_at,
            null::bigint as position, null as data, false as is_whole, 0 as place from thread
        union all
        select false, n.run_id, null, null, n.position, n.data, false, n.place from newest n
    )"""


@dataclass(frozen=True, slots=True)
class AgnoThread:
    """A thread's row, with all of its runs in it if it `is_whole`, else with the newest `runs` in Agno's order.

    `rows` has the id of each run that is a row of the table, in the same order, None for one of the column.
    """

    stored: Stored
    has_rows: bool
    has_column: bool
    is_whole: bool
    runs: list[Placed]
    rows: list[str | None]


def read_whole(session_id: str) -> AgnoThread | None:
    """Read all of a thread unless it is large; None if there is no such thread."""
    part = sql.SQL(_WHOLE).format(stored=sql.Literal(WHOLE_STORED), text=sql.Literal(WHOLE_TEXT))
    return _read(part, {"session_id": session_id})


def read_newest(session_id: str, limit: int, *, in_table: bool, in_column: bool) -> AgnoThread | None:
    """Read a thread's row, and of its newest runs what decides which of their messages are sent."""
    source = (_OF_BOTH if in_column else _OF_TABLE) if in_table else _OF_COLUMN
    outline = sql.SQL(_OUTLINE).format(message=sql.SQL(_MESSAGE))
    path = f"$[last - {limit - 1} to last]"
    part = sql.SQL(_NEWEST).format(outline=outline, source=sql.SQL(source if limit else _OF_TABLE))
    return _read(part, {"session_id": session_id, "limit": limit, "path": path})


def _read(part: sql.Composable, values: dict[str, Any]) -> AgnoThread | None:
    found = fetch(sql.SQL(_THREAD).format(part=part, longest=sql.Literal(_LONGEST), large=sql.Literal(_LARGE)), values)
    if not found:
        return None
    row, runs = found[0], found[1:]
    stored = Stored(
        owner=row["owner"],
        session_type=row["session_type"],
        summary=_value(row["summary"]),
        session_data=_OF_TYPE.get(row["session_data"], 0),
        metadata=_value(row["metadata"]),
        column=_value(row["data"]),
        table=[_row(one) for one in runs] if row["has_rows"] and row["is_whole"] else None,
        is_sorted=True,
    )
    rows = [ids.key(one["run_id"], LONGEST_RUN_ID) if _is_row(one) else None for one in runs]
    placed = [] if row["is_whole"] else _placed(runs)
    return AgnoThread(stored, row["has_rows"], row["has_column"], row["is_whole"], placed, rows)


_OF_TYPE: Final[dict[str | None, Any]] = {None: None, "null": None, "object": {}}


def _placed(runs: list[Row]) -> list[Placed]:
    # a row that stands in for two elements is one value, as it is for Agno
    rows = {one["run_id"]: Placed(f"t{n}", _value(one["data"])) for n, one in enumerate(runs) if _is_row(one)}
    return [rows[one["run_id"]] if _is_row(one) else Placed(f"c{one['position']}", _value(one["data"])) for one in runs]


def _is_row(one: Row) -> bool:
    return one["position"] is None


def _row(row: Row) -> TableRow:
    return TableRow(row["run_id"], row["run_index"], row["created_at"], _value(row["data"]))


def _value(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return UNPARSED
