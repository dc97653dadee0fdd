-- The index rows of many threads that have none, counted as memory_write counts one, for tables
-- that nobody else writes to meanwhile.
with thread as materialized (
    select s.session_id, s.session_type, s.user_id, s.created_at, s.updated_at, f.*, w.*
    from agno_sessions s
    cross join lateral memory_session_facts(s) f (name, has_summary, session_input_tokens, session_output_tokens)
    cross join lateral (
        select count(*) filter (where not in_both) as runs, count(*) filter (where position is null) as table_runs,
            count(position) as column_runs, coalesce(bool_and(sorted), true) as column_sorted,
            coalesce(sum(messages), 0) as messages, coalesce(sum(tool_calls), 0) as tool_calls,
            coalesce(sum(tool_errors), 0) + count(*) filter (where status = 'ERROR' and not in_both) as errors,
            coalesce(sum(text_bytes), 0) as text_bytes, coalesce(sum(input_tokens), 0) as input_tokens,
            coalesce(sum(output_tokens), 0) as output_tokens,
            array_agg(coalesce(user_id, s.user_id)) filter (where not in_both) as people,
            array_agg(created_at) filter (where not in_both) as times,
            min(memory_title(run)) filter (where is_first) as first_text,
            min(memory_preview(run)) filter (where is_last) as last_text,
            min(created_at) filter (where is_first) as first_run_at,
            min(run_index) filter (where is_first) as first_run_index,
            min(run_id) filter (where is_first) as first_run_id,
            min(created_at) filter (where is_last) as last_run_at,
            min(run_index) filter (where is_last) as last_run_index,
            min(run_id) filter (where is_last) as last_run_id,
            min(status) filter (where is_last) as last_status
        from (
            select stored.*, facts.*,
                position is null or created_at >= coalesce(lag(created_at) over (partition by position is null
                    order by position), created_at) as sorted,
                parent is null and not in_both and row_number() over (partition by parent is null, in_both
                    order by created_at, run_index, run_id) = 1 as is_first,
                parent is null and not in_both and row_number() over (partition by parent is null, in_both
                    order by created_at desc, run_index desc, run_id desc) = 1 as is_last
            from (
                select coalesce(e.run ->> 'run_id', '') as run_id, e.run ->> 'user_id' as user_id,
                    e.run ->> 'status' as status, e.run ->> 'parent_run_id' as parent, e.position - 1 as position,
                    coalesce(memory_int(e.run -> 'created_at'), s.created_at) as created_at,
                    e.position - 1 as run_index, e.run,
                    exists (select 1 from agno_runs r where r.run_id = coalesce(e.run ->> 'run_id', '')
                        and r.session_id = s.session_id) as in_both
                from jsonb_array_elements(memory_list(s.runs)) with ordinality as e (run, position)
                union all
                -- joined to nothing, a run is unpacked once instead of at every path
                select r.run_id, r.user_id, r.status, r.parent_run_id, null, r.created_at, coalesce(r.run_index, 0),
                    r.run_data || '{}'::jsonb, false
                from agno_runs r where r.session_id = s.session_id
                offset 0
            ) stored
            left join lateral memory_run_facts(stored.run) facts on not stored.in_both
        ) run
    ) w
    where s.session_id > %(first)s and s.session_id <= %(last)s
        and not exists (select 1 from memory_thread m where m.session_id = s.session_id)
), someone as (
    select t.session_id, memory_user_key(u.user_id) as user_key, u.user_id, bool_or(u.is_owner) as is_owner,
        count(u.at) as runs, coalesce(min(u.at), t.created_at) as first_at,
        coalesce(max(u.at), t.created_at) as seen_at, coalesce(t.updated_at, t.created_at) as last_at
    from thread t cross join lateral (
        select x.user_id, false as is_owner, x.at from unnest(t.people, t.times) as x (user_id, at)
        union all select t.user_id, true, null) u
    where u.user_id is not null
    group by t.session_id, u.user_id, t.created_at, t.updated_at
), taking_part as (
    insert into memory_participant (session_id, user_key, user_id, is_owner, runs, first_at, seen_at, last_at)
    select session_id, user_key, user_id, is_owner, runs, first_at, seen_at, last_at from someone
    returning session_id
), people as (
    select session_id, count(*) as users from taking_part group by session_id
)
insert into memory_thread (session_id, session_type, user_id, name, first_text, last_text, has_summary, runs,
    messages, tool_calls, errors, text_bytes, run_input_tokens, run_output_tokens, session_input_tokens,
    session_output_tokens, users, table_runs, column_runs, column_sorted, first_run_at, first_run_index,
    first_run_id, last_run_at, last_run_index, last_run_id, last_status, created_at, updated_at)
select t.session_id, t.session_type, t.user_id, t.name, t.first_text, t.last_text, t.has_summary, t.runs,
    t.messages, t.tool_calls, t.errors, t.text_bytes, t.input_tokens, t.output_tokens, t.session_input_tokens,
    t.session_output_tokens, coalesce(p.users, 0), t.table_runs, t.column_runs, t.column_sorted, t.first_run_at,
    t.first_run_index, t.first_run_id, t.last_run_at, t.last_run_index, t.last_run_id, t.last_status, t.created_at,
    t.updated_at
from thread t left join people p using (session_id)
