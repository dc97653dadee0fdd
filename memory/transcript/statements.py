"""SQL that reads runs from the column, the table, or both.

The three sources have the same columns. The size of a run is checked before it is fetched: first the stored
size, which costs nothing, then the unpacked one, then that of its text.
"""

from typing import Final

# One page of runs of the column, whose order is the transcript's. jsonb has no slices, so one path takes all
# runs of the page and the column is unpacked once. No memory_list around it: Postgres would inline that and
# unpack the column twice.
COLUMN: Final = """
    select e.run ->> 'run_id' as run_id, e.run ->> 'parent_run_id' as parent_run_id, e.run ->> 'user_id' as user_id,
        e.run ->> 'status' as status, coalesce(memory_int(e.run -> 'created_at'), s.created_at) as created_at,
        %(first)s + e.n - 1 as run_index, %(first)s + e.n - 1 as position, e.run as data
    from agno_sessions s
    cross join lateral jsonb_array_elements(
        jsonb_path_query_array(memory_column(s.session_id), %(slice)s::jsonpath)) with ordinality as e (run, n)
    where s.session_id = %(session_id)s"""

# One page of runs of the table. The order must be that of the index memory_agno_runs_order.
TABLE: Final = """
    select r.run_id, r.parent_run_id, r.user_id, r.status, r.created_at, coalesce(r.run_index, 0) as run_index,
        null::bigint as position, r.run_data as data
    from agno_runs r
    where r.session_id = %(session_id)s and {after}
    order by {order} limit %(limit)s"""
TABLE_KEY: Final = ("r.created_at", "coalesce(r.run_index, 0)", "r.run_id")

# For runs in both, or a column in another order. All runs are sorted by their small columns; only those of
# the page are written as text.
MERGED: Final = """
    select * from (
        select e.run ->> 'run_id' as run_id, e.run ->> 'parent_run_id' as parent_run_id,
            e.run ->> 'user_id' as user_id, e.run ->> 'status' as status,
            coalesce(memory_int(e.run -> 'created_at'), s.created_at) as created_at,
            e.n - 1 as run_index, e.n - 1 as position, e.run as data
        from agno_sessions s
        cross join lateral jsonb_array_elements(memory_list(memory_column(s.session_id))) with ordinality as e (run, n)
        where s.session_id = %(session_id)s and not exists (
            select 1 from agno_runs x where x.run_id = e.run ->> 'run_id' and x.session_id = %(session_id)s)
        union all
        select r.run_id, r.parent_run_id, r.user_id, r.status, r.created_at, coalesce(r.run_index, 0), null, r.run_data
        from agno_runs r where r.session_id = %(session_id)s
    ) r
    where {after}
    order by {order} limit %(limit)s"""
MERGED_KEY: Final = ("created_at", "run_index", "run_id is null", "coalesce(run_id, '')", "coalesce(position, -1)")

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
        ) u on true
    ), written as (
        select u.*, t.text, octet_length(t.text) as bytes from unpacked u left join lateral (
            select u.data::text as text where u.raw <= 2 * {text_limit} offset 0) t on true
    ), judged as (
        select w.*, w.weight > {stored_limit} or w.raw > 2 * {text_limit} or w.bytes > {text_limit} as too_large,
            sum(case when w.bytes <= {text_limit} then w.bytes else 0 end) over (order by w.n) as bytes_so_far
        from written w
    )
    select j.run_id, j.parent_run_id, j.user_id, j.status, j.created_at, j.run_index, j.position,
        coalesce(j.bytes, f.bytes, j.raw, j.weight) as bytes, coalesce(j.too_large, false) as too_large,
        case when j.bytes <= {text_limit} and j.bytes_so_far <= {text_budget} then j.text end as text, f.facts,
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

# The runs that the model would be sent: no sub-runs, not failed, of an agent or a team; newest first, in the
# order in which Agno 3 reads the table. `offset 0` makes Postgres sort before it looks into run_data, so that
# only runs up to the limit are unpacked.
SENT_TABLE: Final = """
    select null::bigint as position, r.run_id from (
        select s.run_id, s.run_data from agno_runs s
        where s.session_id = %(session_id)s and s.parent_run_id is null
            and (s.status is null or s.status <> all (%(skipped)s))
        order by s.run_index desc nulls first, s.created_at desc, s.run_id desc offset 0
    ) r where r.run_data ?| array['agent_id', 'team_id'] limit %(limit)s"""

# The same for runs in both places, merged as Agno 3 does it: the column in its order, a row of the table in
# place of the element with the same run_id, then the table's other rows.
SENT_MERGED: Final = """
    with element as materialized (
        select e.n, e.run ->> 'run_id' as run_id, e.run ->> 'parent_run_id' as parent, e.run ->> 'status' as status,
            e.run ?| array['agent_id', 'team_id'] as owned
        from agno_sessions s
        cross join lateral jsonb_array_elements(memory_list(memory_column(s.session_id))) with ordinality as e (run, n)
        where s.session_id = %(session_id)s
    ), run as (
        select e.n as place, case when r.run_id is null then e.n - 1 end as position, e.run_id,
            r.run_index, r.created_at,
            case when r.run_id is null then e.parent else r.parent_run_id end as parent,
            case when r.run_id is null then e.status else r.status end as status,
            case when r.run_id is null then e.owned else r.run_data ?| array['agent_id', 'team_id'] end as owned
        from element e left join agno_runs r on r.run_id = e.run_id and r.session_id = %(session_id)s
        union all
        select null, null, r.run_id, r.run_index, r.created_at, r.parent_run_id, r.status,
            r.run_data ?| array['agent_id', 'team_id']
        from agno_runs r where r.session_id = %(session_id)s and r.run_id not in (
            select e.run_id from element e where e.run_id is not null)
    )
    select position, run_id from run
    where parent is null and (status is null or status <> all (%(skipped)s)) and owned
    order by place desc nulls first, run_index desc nulls first, created_at desc, run_id desc limit %(limit)s"""

# The place of a run by its id. A row of the table wins over an element of the column.
PLACE: Final = """
    select * from (
        select r.created_at, coalesce(r.run_index, 0) as run_index, r.run_id, null::bigint as position
        from agno_runs r where r.run_id = %(run_id)s and r.session_id = %(session_id)s
        union all
        (select coalesce(memory_int(e.run -> 'created_at'), s.created_at), e.n - 1, e.run ->> 'run_id', e.n - 1
        from agno_sessions s
        cross join lateral jsonb_array_elements(memory_list(memory_column(s.session_id))) with ordinality as e (run, n)
        where s.session_id = %(session_id)s and e.run ->> 'run_id' = %(run_id)s
            and not exists (select 1 from agno_runs x where x.run_id = %(run_id)s and x.session_id = %(session_id)s)
        limit 1)
    ) r limit 1"""

# One run by its id, or a run of the column by its position.
ONE_RUN: Final = """
    select r.run_data as data from agno_runs r
    where r.run_id = %(run_id)s and r.session_id = %(session_id)s and %(position)s::bigint is null
    union all
    (select e.run from agno_sessions s
    cross join lateral jsonb_array_elements(memory_list(memory_column(s.session_id))) with ordinality as e (run, n)
    where s.session_id = %(session_id)s and case when %(position)s::bigint is null
        then e.run ->> 'run_id' = %(run_id)s else e.n - 1 = %(position)s end
    limit 1)
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
