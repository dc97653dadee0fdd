"""SQL that reads runs, in the order in which a person reads them.

The index says where each run is: in the column or in the table. The size of a run is checked before it is fetched:
first the stored size, which costs nothing, then the unpacked one, then that of its text.
"""

from typing import Final

# One page of runs. jsonb has no slices, so one path takes all runs that the page has of the column, which is unpacked
# once.
INDEXED: Final = """
    with m as materialized (
        select * from memory_run where session_id = %(session_id)s and place >= 0 and {after} order by {order}
        limit %(limit)s
    ), part as materialized (
        select s.first, jsonb_path_query_array(memory_elements(c.runs), s.path) as runs
        from (select min(position) as first, format('$[%%s to %%s]', min(position), max(position))::jsonpath as path
              from m) s
        cross join lateral (select memory_column(%(session_id)s) #> '{{}}' as runs offset 0) c
        where s.first is not null
    )
    select m.place, nullif(memory_id(m.run_id, 255), '') as run_id, memory_id(m.user_id, 4096) as user_id, m.status,
        m.at as created_at, m.position, d.data, memory_id(
            case when m.position is null then d.parent_run_id else d.data ->> 'parent_run_id' end, 255) as parent_run_id
    from m left join part on m.position is not null
    left join agno_runs r on m.position is null and r.run_id = m.run_id
    cross join lateral (
        select case when m.position is null then r.run_data else part.runs -> m.position - part.first end as data,
            r.parent_run_id offset 0) d
    where d.data is not null"""

# The same without the index, for a thread that waits to be counted, in the order in which Agno reads its runs.
UNINDEXED: Final = """
    with element as materialized (
        select n::integer - 1 as position, run, run ->> 'run_id' as run_id
        from (select memory_column(%(session_id)s) #> '{{}}' as runs offset 0) c
        cross join lateral jsonb_array_elements(memory_elements(c.runs)) with ordinality e (run, n)
    ), own as materialized (
        select * from agno_runs where session_id = %(session_id)s
    )
    select * from (
        select row_number() over (order by in_column, run_index, created_at, run_id) - 1 as place,
            memory_id(run_id, 255) as run_id, memory_id(parent_run_id, 255) as parent_run_id,
            memory_id(memory_person(user_id), 4096) as user_id, left(status, 40) as status, created_at, position, data
        from (
            select run_id, run ->> 'parent_run_id' as parent_run_id, run ->> 'user_id' as user_id,
                run ->> 'status' as status, memory_time(run -> 'created_at') as created_at, position, run as data,
                position as in_column, null::bigint as run_index
            from element left join own using (run_id) where own.run_id is null
            union all
            select run_id, parent_run_id, user_id, status, memory_seconds(created_at), null, run_data, e.in_column,
                run_index
            from own left join (select run_id, min(position) as in_column from element group by run_id) e using (run_id)
        ) p
    ) r where {after} order by {order} limit %(limit)s"""

# `bytes` is the size of the JSON text if it was made, else an estimate. A run without `text` is either too
# large to be shown, and then `facts` holds a few of its fields, or it does not fit on this page any more.
# `offset 0` keeps Postgres from merging the steps, which would unpack a run several times. `||` with an
# empty value unpacks a run, so that pg_column_size returns its unpacked size.
WEIGHED: Final = """
    with page as materialized ({source}),
    stored as (
        select p.*, w.weight, row_number() over o as n,
            sum(case when w.weight <= {stored_limit} then w.weight else 0 end) over o as stored_so_far
        from page p cross join lateral (
            -- a run of the column was unpacked with its neighbours already
            select case when p.position is null then pg_column_size(p.data) else 0 end as weight) w
        window o as (order by {order})
    ), unpacked as (
        select s.*, u.raw from stored s left join lateral (
            select pg_column_size(case when s.position is not null then s.data
                else s.data || case jsonb_typeof(s.data) when 'object' then '{{}}' else '[]' end::jsonb end) as raw
            where s.n <= %(rows)s and s.weight <= {stored_limit} and s.stored_so_far <= {stored_budget} offset 0
        ) u on true offset 0
    ), written as (
        select u.*, t.text, octet_length(t.text) as length from unpacked u left join lateral (
            -- #> unpacks a run once, which each access to a field would else do again
            select case when u.raw > {shown_from} then memory_shown(memory_json(u.data #> '{{}}'))
                else u.data::text end as text
            where u.raw <= {stored_limit} offset 0) t on true
    ), judged as (
        select w.*, w.weight > {stored_limit} or w.raw > {stored_limit} or w.length > {text_limit} as too_large,
            sum(case when w.length <= {text_limit} then w.length else 0 end) over (order by w.n) as so_far
        from written w
    )
    select j.place, j.run_id, j.parent_run_id, j.user_id, j.status, j.created_at, j.position,
        coalesce(case when j.raw <= {shown_from} then j.length end, j.raw, f.bytes, j.weight) as bytes,
        coalesce(j.too_large, false) as too_large, coalesce(j.raw <= {shown_from}, false) as is_whole,
        case when j.length <= {text_limit} and j.so_far <= {text_budget} then j.text end as text, f.facts,
        exists (select from memory_feed w where w.session_id = %(session_id)s)
            or exists (select from memory_backlog b where b.session_id = %(session_id)s) as dirty
    from judged j left join lateral (
        select case when j.raw is null then pg_column_size(j.data || '{{}}'::jsonb) end as bytes, jsonb_build_object(
            'agent_name', left(d.agent_name, 200), 'agent_id', left(d.agent_id, 200), 'team_id', left(d.team_id, 200),
            'workflow_id', left(d.workflow_id, 200), 'model', left(d.model, 200),
            'model_provider', left(d.model_provider, 200), 'input', memory_text(d.input -> 'input_content'),
            'metrics', jsonb_build_object(
                'input_tokens', memory_int(d.metrics -> 'input_tokens'),
                'output_tokens', memory_int(d.metrics -> 'output_tokens')))::text as facts
        from jsonb_to_record(j.data) as d (agent_name text, agent_id text, team_id text, workflow_id text, model text,
            model_provider text, input jsonb, metrics jsonb)
        where j.too_large and jsonb_typeof(j.data) = 'object' offset 0
    ) f on true
    order by j.n"""

# The place of a run by its id, or by its position in the column where several have one id.
PLACE: Final = """
    select place from ({source}) r where run_id = %(run_id)s
    order by (position = %(position)s) desc nulls last, place limit 1"""

# Which of these runs are not only inside others.
BY_THEMSELVES: Final = """
    select memory_id(run_id, 255) as run_id from memory_run
    where session_id = %(session_id)s and place >= 0 and memory_id(run_id, 255) = any (%(ids)s)"""

IS_KEY: Final = "memory_id(r.run_id, 255) = %(run_id)s"
# One run. A row of the table stands in for the elements of its id. Elements may have one id, or none, so they are told
# apart by their position.
ONE_RUN: Final = """
    select r.run_data as data from agno_runs r where {is_run} and r.session_id = %(session_id)s
    union all
    (select e.run from (select memory_column(%(session_id)s) #> '{{}}' as runs offset 0) c
    cross join lateral jsonb_array_elements(memory_elements(c.runs)) with ordinality as e (run, n)
    where case when %(run_id)s = '' then e.n - 1 = %(position)s::bigint
        else memory_id(e.run ->> 'run_id', 255) = %(run_id)s end
    order by (e.n - 1 = %(position)s::bigint) desc nulls last, e.n limit 1)
    limit 1"""

# The text of a run, after the same checks of its size.
ONE_TEXT: Final = """
    select case when %(longest)s::bigint is null then r.data::text
        when pg_column_size(r.data) > %(longest)s or u.raw > 2 * %(longest)s then ''
        when octet_length(r.data::text) > %(longest)s then '' else r.data::text end as text
    from ({source}) r cross join lateral (
        select pg_column_size(r.data || case jsonb_typeof(r.data) when 'object' then '{{}}' else '[]' end::jsonb) as raw
        offset 0) u"""

# The text of a large run in pieces. Materialized, because else each piece would write the whole text again.
PIECES: Final = """
    with run as materialized (select convert_to(r.data::text, 'UTF8') as bytes from ({source}) r)
    select substring(run.bytes from n + 1 for {size})
    from run, generate_series(0, octet_length(run.bytes) - 1, {size}) n order by n"""
