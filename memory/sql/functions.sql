-- How a thread's index row is computed. Everything in a run may be missing or of another type, so
-- each value is looked at before it is used; nothing here trusts a transcript.
create or replace function {schema}.memory_int(v jsonb) returns bigint
language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'number' then
        case when v::numeric between -9e15 and 9e15 then trunc(v::numeric)::bigint end
    end
$$
-- next
create or replace function {schema}.memory_count(v jsonb) returns bigint
language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'number' then least(greatest(trunc(v::numeric), 0), 1e12)::bigint end
$$
-- next
create or replace function {schema}.memory_list(v jsonb) returns jsonb
language sql immutable parallel safe as $$
    select case when jsonb_typeof(v) = 'array' then v else '[]'::jsonb end
$$
-- next
create or replace function {schema}.memory_line(v text) returns text
language sql immutable parallel safe as $$
    select nullif(left(regexp_replace(left(btrim(left(v, 1000), E' \n\r\t'), 300), '\s+', ' ', 'g'), 160), '')
$$
-- next
-- The first 160 characters of a message's content: a string, or a list of parts.
create or replace function {schema}.memory_text(v jsonb) returns text
language sql immutable parallel safe as $$
    select {schema}.memory_line(case jsonb_typeof(v)
        when 'string' then v #>> '{}'
        when 'array' then (
            select string_agg(case jsonb_typeof(p) when 'string' then p #>> '{}' else p ->> 'text' end, ' ' order by n)
            from jsonb_array_elements(v) with ordinality as e (p, n))
    end)
$$
-- next
create or replace function {schema}.memory_title(run jsonb) returns text
language sql immutable parallel safe as $$
    -- a workflow's input is the text itself
    select coalesce({schema}.memory_text(run #> '{input,input_content}'), {schema}.memory_text(run -> 'input'), (
        select {schema}.memory_text(m -> 'content')
        from jsonb_array_elements({schema}.memory_list(run -> 'messages')) with ordinality as e (m, n)
        where m ->> 'role' = 'user' and m -> 'from_history' is distinct from 'true'::jsonb
        order by n limit 1))
$$
-- next
create or replace function {schema}.memory_preview(run jsonb) returns text
language sql immutable parallel safe as $$
    select coalesce({schema}.memory_text(run -> 'content'), (
        select {schema}.memory_text(m -> 'content')
        from jsonb_array_elements({schema}.memory_list(run -> 'messages')) with ordinality as e (m, n)
        where m ->> 'role' = 'assistant' and m -> 'from_history' is distinct from 'true'::jsonb
        order by n desc limit 1))
$$
-- next
-- What one run adds to its thread. Copies of earlier turns and the system message are not counted;
-- text_bytes is the size of the messages as jsonb. Paths walk the run in place: unnesting it would
-- copy every message, which an agent would wait for at each turn.
create or replace function {schema}.memory_run_facts(run jsonb)
returns table (messages integer, tool_calls integer, tool_errors integer, text_bytes bigint,
               input_tokens bigint, output_tokens bigint)
language sql immutable parallel safe as $$
    select coalesce(jsonb_array_length(jsonb_path_query_array(r.run, '$ ? (@.messages.type() == "array").messages[*]
            ? (@.type() == "object" && !(@.role == "system") && !(@.from_history == true)).type()')), 0),
        greatest(jsonb_array_length(jsonb_path_query_array(r.run, '$ ? (@.messages.type() == "array").messages[*]
            ? (@.type() == "object" && @.role == "tool" && !(@.from_history == true)).type()')),
            case when jsonb_typeof(r.run -> 'tools') = 'array' then jsonb_array_length(r.run -> 'tools') end, 0),
        coalesce(jsonb_array_length(jsonb_path_query_array(r.run, '$ ? (@.messages.type() == "array").messages[*]
            ? (@.type() == "object" && @.tool_call_error == true && !(@.role == "system")
               && !(@.from_history == true)).type()')), 0),
        coalesce(pg_column_size(r.run -> 'messages'), 0)::bigint,
        coalesce({schema}.memory_count(r.run #> '{metrics,input_tokens}'), 0),
        coalesce({schema}.memory_count(r.run #> '{metrics,output_tokens}'), 0)
    from (select case when jsonb_typeof(run) = 'object' then run end as run) r
$$
-- next
create or replace function {schema}.memory_session_facts(s {schema}.agno_sessions)
returns table (name text, has_summary boolean, input_tokens bigint, output_tokens bigint)
language sql immutable parallel safe as $$
    select {schema}.memory_line(s.session_data ->> 'session_name'),
        coalesce(jsonb_typeof(s.summary) = 'object', false),
        {schema}.memory_count(s.session_data #> '{session_metrics,input_tokens}'),
        {schema}.memory_count(s.session_data #> '{session_metrics,output_tokens}')
$$
-- next
create or replace function {schema}.memory_user_key(user_id text) returns uuid
language sql immutable parallel safe as $$
    select encode(substr(sha256(convert_to(user_id, 'UTF8')), 1, 16), 'hex')::uuid
$$
-- next
-- Count one thread from its stored rows and write its index row and participants. The session row
-- is passed in, so that a BEFORE UPDATE trigger hands over the runs that are still in memory.
create or replace function {schema}.memory_write(s {schema}.agno_sessions) returns void
language plpgsql as $$
declare
    w record;
    title text;
    preview text;
begin
    -- what commits before this lock is granted is seen by the next statement; what comes later waits
    -- for it and then adds itself
    perform 1 from {schema}.memory_thread t where t.session_id = s.session_id for update;
    if not found then
        insert into {schema}.memory_thread (session_id, created_at) values (s.session_id, s.created_at)
            on conflict (session_id) do nothing;
        perform 1 from {schema}.memory_thread t where t.session_id = s.session_id for update;
    end if;

    with element as materialized (
        select coalesce(e.run ->> 'run_id', '') as run_id, e.run ->> 'user_id' as user_id, e.run ->> 'status' as status,
            e.run ->> 'parent_run_id' as parent, e.position - 1 as position,
            coalesce({schema}.memory_int(e.run -> 'created_at'), s.created_at) as created_at, f.*
        from jsonb_array_elements({schema}.memory_list(s.runs)) with ordinality as e (run, position)
        cross join lateral {schema}.memory_run_facts(e.run) f
    ), run as materialized (
        select element.*, element.position as run_index from element
        where not exists (select 1 from {schema}.agno_runs r
                          where r.run_id = element.run_id and r.session_id = s.session_id)
        union all
        select r.run_id, r.user_id, r.status, r.parent_run_id, null, r.created_at, f.*, coalesce(r.run_index, 0)
        from {schema}.agno_runs r cross join lateral {schema}.memory_run_facts(r.run_data) f
        where r.session_id = s.session_id
    ), who as materialized (
        select u.user_id, {schema}.memory_user_key(u.user_id) as user_key, bool_or(u.is_owner) as is_owner,
            count(u.at) as runs, coalesce(min(u.at), s.created_at) as first_at, coalesce(max(u.at), s.created_at) as seen_at
        from (select coalesce(run.user_id, s.user_id) as user_id, false as is_owner, run.created_at as at from run
              union all select s.user_id, true, null) u
        where u.user_id is not null group by u.user_id
    ), kept as (
        insert into {schema}.memory_participant as p
            (session_id, user_key, user_id, is_owner, runs, first_at, seen_at, last_at)
        select s.session_id, user_key, user_id, is_owner, runs, first_at, seen_at, coalesce(s.updated_at, s.created_at)
        from who order by user_key
        on conflict (session_id, user_key) do update set is_owner = excluded.is_owner, runs = excluded.runs,
            first_at = excluded.first_at, seen_at = excluded.seen_at, last_at = excluded.last_at
        where (p.is_owner, p.runs, p.first_at, p.seen_at, p.last_at)
            is distinct from (excluded.is_owner, excluded.runs, excluded.first_at, excluded.seen_at, excluded.last_at)
    ), total as (
        select count(*) as runs, count(*) filter (where position is null) as table_runs,
            coalesce(sum(messages), 0) as messages, coalesce(sum(tool_calls), 0) as tool_calls,
            coalesce(sum(tool_errors), 0) + count(*) filter (where status = 'ERROR') as errors,
            coalesce(sum(text_bytes), 0) as text_bytes,
            coalesce(sum(input_tokens), 0) as input_tokens, coalesce(sum(output_tokens), 0) as output_tokens
        from run
    ), earliest as (
        select * from run where parent is null order by created_at, run_index, run_id limit 1
    ), latest as (
        select * from run where parent is null order by created_at desc, run_index desc, run_id desc limit 1
    )
    select total.*, (select count(*) from who) as users, (select array_agg(user_key) from who) as user_keys, (select count(*) from element) as column_runs,
        coalesce((select bool_and(o.sorted) from (
            select created_at >= coalesce(lag(created_at) over (order by position), created_at) as sorted
            from element) o), true) as column_sorted,
        earliest.position as first_position, earliest.created_at as first_at, earliest.run_index as first_index,
        earliest.run_id as first_id, latest.position as last_position, latest.created_at as last_run_at,
        latest.run_index as last_index, latest.run_id as last_id, latest.status as last_status
    into w from total left join earliest on true left join latest on true;

    if w.users < (select count(*) from {schema}.memory_participant p where p.session_id = s.session_id) then
        delete from {schema}.memory_participant p
        where p.session_id = s.session_id and p.user_key <> all (coalesce(w.user_keys, '{}'));
    end if;
    if w.first_at is not null then
        title := {schema}.memory_title(case when w.first_position is not null then s.runs -> w.first_position::integer
            else (select r.run_data from {schema}.agno_runs r where r.run_id = w.first_id) end);
        preview := {schema}.memory_preview(case when w.last_position is not null then s.runs -> w.last_position::integer
            else (select r.run_data from {schema}.agno_runs r where r.run_id = w.last_id) end);
    end if;

    update {schema}.memory_thread t set
        session_type = s.session_type, user_id = s.user_id, name = f.name, first_text = title,
        last_text = preview, has_summary = f.has_summary, runs = w.runs, table_runs = w.table_runs,
        messages = w.messages, tool_calls = w.tool_calls, errors = w.errors, text_bytes = w.text_bytes,
        run_input_tokens = w.input_tokens, run_output_tokens = w.output_tokens,
        session_input_tokens = f.input_tokens, session_output_tokens = f.output_tokens, users = w.users,
        column_runs = w.column_runs, column_sorted = w.column_sorted,
        first_run_at = w.first_at, first_run_index = w.first_index, first_run_id = w.first_id,
        last_run_at = w.last_run_at, last_run_index = w.last_index, last_run_id = w.last_id,
        last_status = w.last_status, created_at = s.created_at, updated_at = s.updated_at
    from {schema}.memory_session_facts(s) f
    where t.session_id = s.session_id;
end $$
-- next
create or replace function {schema}.memory_forget(ids text[]) returns void
language sql as $$
    delete from {schema}.memory_participant where session_id = any (ids);
    delete from {schema}.memory_thread where session_id = any (ids);
$$
-- next
-- Count again every thread named, or drop its row when the thread is gone.
create or replace function {schema}.memory_recount(ids text[]) returns void
language plpgsql as $$
declare
    one text;
    s {schema}.agno_sessions;
begin
    for one in select distinct u from unnest(ids) u where u is not null order by u loop
        -- lock first, read second: what another writer committed in between is not overwritten
        insert into {schema}.memory_thread (session_id, created_at) values (one, 0) on conflict (session_id) do nothing;
        perform 1 from {schema}.memory_thread t where t.session_id = one for update;
        select * into s from {schema}.agno_sessions where session_id = one;
        if found then
            perform {schema}.memory_write(s);
        else
            perform {schema}.memory_forget(array[one]);
        end if;
    end loop;
end $$
-- next
-- Remember threads whose index row could not be kept. Never raises: an agent's write comes first.
create or replace function {schema}.memory_mark_dirty(ids text[], why text) returns void
language plpgsql as $$
begin
    insert into {schema}.memory_dirty (session_id, error)
        select distinct u, left(why, 300) from unnest(ids) u where u is not null;
exception when others then
    null;
end $$
-- next
create or replace function {schema}.memory_tombstone_hash(session_id text) returns bytea
language sql stable as $$
    select sha256(k.key || sha256(k.key || convert_to(session_id, 'UTF8')))
    from {schema}.memory_tombstone_key k
$$
-- next
-- Take up to `batch` dirty threads and count them again; one that fails goes to the end of the
-- queue with its error. Rows that another mender holds are left to it.
create or replace function {schema}.memory_mend(batch integer, up_to bigint, out mended integer, out failed integer)
language plpgsql set lock_timeout = '1s' as $$
declare
    one record;
begin
    mended := 0;
    failed := 0;
    for one in
        with taken as (
            select d.no, d.session_id from {schema}.memory_dirty d
            where d.no <= up_to order by d.no limit batch for update skip locked
        ), gone as (
            delete from {schema}.memory_dirty d using taken where d.no = taken.no
        )
        select session_id from taken group by session_id order by session_id
    loop
        begin
            perform {schema}.memory_recount(array[one.session_id]);
            mended := mended + 1;
        exception when others then
            perform {schema}.memory_mark_dirty(array[one.session_id], sqlerrm);
            failed := failed + 1;
        end;
    end loop;
end $$
-- next
-- Make the rollup rows of these users from their participants.
create or replace function {schema}.memory_users_recount(keys uuid[]) returns void
language plpgsql as $$
begin
    perform 1 from {schema}.memory_user u where u.user_key = any (keys) order by u.user_key for update;
    delete from {schema}.memory_user u where u.user_key = any (keys)
        and not exists (select 1 from {schema}.memory_participant p where p.user_key = u.user_key);
    insert into {schema}.memory_user as u (user_key, user_id, threads, runs, first_at, seen_at)
    select user_key, min(user_id), count(*), sum(runs), min(first_at), max(seen_at)
    from {schema}.memory_participant where user_key = any (keys) group by user_key order by user_key
    on conflict (user_key) do update set threads = excluded.threads, runs = excluded.runs,
        first_at = excluded.first_at, seen_at = excluded.seen_at;
end $$
