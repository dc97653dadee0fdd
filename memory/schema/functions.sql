-- The functions that compute a thread's index row. Anything in a run may be missing or of another type, so the
-- type of each value is checked before it is used.
--
-- The limits keep the cast to bigint from failing.
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
-- Cut before white space is folded, because a text may have megabytes.
create or replace function {schema}.memory_line(v text) returns text
language sql immutable parallel safe as $$
    select nullif(left(regexp_replace(left(btrim(left(v, 1000), E' \n\r\t'), 300), '\s\s+|[^\S ]', ' ', 'g'), 160), '')
$$
-- next
-- The first 160 characters of a message's content: a string, or a list of parts.
create or replace function {schema}.memory_text(v jsonb) returns text
language plpgsql immutable parallel safe as $$
begin
    if jsonb_typeof(v) = 'string' then
        return {schema}.memory_line(v #>> '{}');
    elsif jsonb_typeof(v) = 'array' then
        return {schema}.memory_line((
            select string_agg(case jsonb_typeof(p) when 'string' then p #>> '{}' else p ->> 'text' end, ' ' order by n)
            from jsonb_array_elements(v) with ordinality as e (p, n)));
    end if;
    return null;
end $$
-- next
create or replace function {schema}.memory_title(run jsonb) returns text
language plpgsql immutable parallel safe as $$
declare
    -- the input of a workflow has no input_content: it is the text itself
    line text := coalesce({schema}.memory_text(run #> '{input,input_content}'), {schema}.memory_text(run -> 'input'));
begin
    if line is null then
        select {schema}.memory_text(m -> 'content') into line
        from jsonb_array_elements({schema}.memory_list(run -> 'messages')) with ordinality as e (m, n)
        where m ->> 'role' = 'user' and m -> 'from_history' is distinct from 'true'::jsonb
        order by n limit 1;
    end if;
    return line;
end $$
-- next
create or replace function {schema}.memory_preview(run jsonb) returns text
language plpgsql immutable parallel safe as $$
declare
    line text := {schema}.memory_text(run -> 'content');
begin
    if line is null then
        select {schema}.memory_text(m -> 'content') into line
        from jsonb_array_elements({schema}.memory_list(run -> 'messages')) with ordinality as e (m, n)
        where m ->> 'role' = 'assistant' and m -> 'from_history' is distinct from 'true'::jsonb
        order by n desc limit 1;
    end if;
    return line;
end $$
-- next
-- The counts of one run. Copies of earlier turns and the system message are left out; text_bytes is the size of
-- all messages as jsonb. Counted by paths, which read the messages in place: to unnest them would copy each one,
-- and the agent waits for this at each turn.
create or replace function {schema}.memory_run_facts(run jsonb)
returns table (messages integer, tool_calls integer, tool_errors integer, text_bytes bigint,
               input_tokens bigint, output_tokens bigint)
language sql immutable parallel safe as $$
    select case when jsonb_typeof(m.stored) = 'array' then jsonb_array_length(jsonb_path_query_array(m.stored,
            '$[*] ? (@.type() == "object" && !(@.role == "system") && !(@.from_history == true)).type()')) else 0 end,
        greatest(case when m.stored @> '[{"role": "tool"}]' then jsonb_array_length(jsonb_path_query_array(m.stored,
                '$[*] ? (@.type() == "object" && @.role == "tool" && !(@.from_history == true)).type()')) end,
            case when jsonb_typeof(run -> 'tools') = 'array' then jsonb_array_length(run -> 'tools') end, 0),
        case when m.stored @> '[{"tool_call_error": true}]' then jsonb_array_length(jsonb_path_query_array(m.stored,
            '$[*] ? (@.type() == "object" && @.tool_call_error == true && !(@.role == "system")
                && !(@.from_history == true)).type()')) else 0 end,
        coalesce(pg_column_size(m.stored), 0)::bigint,
        coalesce({schema}.memory_count(run #> '{metrics,input_tokens}'), 0),
        coalesce({schema}.memory_count(run #> '{metrics,output_tokens}'), 0)
    from (select run -> 'messages' as stored offset 0) m
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
-- A user id may be longer than an index row, so the key is a hash of it; memory/query.py computes the same.
create or replace function {schema}.memory_user_key(user_id text) returns uuid
language sql stable parallel safe as $$
    select encode(substr(sha256(convert_to(user_id, 'UTF8')), 1, 16), 'hex')::uuid
$$
-- next
-- Count one thread and write its index row and participants; returns whether it did. The session row is an
-- argument, so that a BEFORE UPDATE trigger passes the runs while they are still in memory.
--
-- With `sure` the caller has locked the index row, and both the column and the table are counted. Without, only
-- the column is, and nothing is written unless the index row says that there is nothing else to count. That is an
-- agent's usual turn, for which each statement here costs some 30 microseconds.
create or replace function {schema}.memory_put(s {schema}.agno_sessions, sure boolean) returns boolean
language plpgsql as $$
declare
    active bigint := coalesce(s.updated_at, s.created_at);
    people {schema}.memory_participant[];
    p {schema}.memory_participant;
    w record;
    last integer;
    title text;
    preview text;
    joined boolean := false;
begin
    select count(*) filter (where not r.twice) as runs, count(*) filter (where r.position is null) as table_runs,
        count(r.position) as column_runs, coalesce(bool_and(r.sorted), true) as column_sorted,
        coalesce(sum(f.messages), 0) as messages, coalesce(sum(f.tool_calls), 0) as tool_calls,
        coalesce(sum(f.tool_errors), 0) + count(*) filter (where r.status = 'ERROR' and not r.twice) as errors,
        coalesce(sum(f.text_bytes), 0) as text_bytes, coalesce(sum(f.input_tokens), 0) as input_tokens,
        coalesce(sum(f.output_tokens), 0) as output_tokens,
        array_agg(r.user_id) filter (where not r.twice) as users, array_agg(r.at) filter (where not r.twice) as times,
        bool_and(r.user_id = s.user_id) filter (where not r.twice) as alone,
        min(r.at) filter (where not r.twice) as first_at, max(r.at) filter (where not r.twice) as seen_at,
        array_agg(r.position order by r.at, r.run_index, r.run_id) filter (where r.is_root) as positions,
        array_agg(r.at order by r.at, r.run_index, r.run_id) filter (where r.is_root) as ats,
        array_agg(r.run_index order by r.at, r.run_index, r.run_id) filter (where r.is_root) as indexes,
        array_agg(r.run_id order by r.at, r.run_index, r.run_id) filter (where r.is_root) as ids,
        array_agg(r.status order by r.at, r.run_index, r.run_id) filter (where r.is_root) as statuses
    into w
    from (
        select e.*, e.at >= coalesce(lag(e.at) over (), e.at) as sorted, not e.twice and e.parent is null as is_root
        from (
            select e.run, coalesce(e.run ->> 'run_id', '') as run_id,
                coalesce(e.run ->> 'user_id', s.user_id) as user_id, e.run ->> 'status' as status,
                e.run ->> 'parent_run_id' as parent, e.n - 1 as position, e.n - 1 as run_index,
                coalesce({schema}.memory_int(e.run -> 'created_at'), s.created_at) as at,
                sure and exists (select 1 from {schema}.agno_runs r
                    where r.run_id = coalesce(e.run ->> 'run_id', '') and r.session_id = s.session_id) as twice
            from jsonb_array_elements({schema}.memory_list(s.runs)) with ordinality as e (run, n)
            offset 0
        ) e
        union all
        -- #> '{}' unpacks a run once; without it every access to a field would unpack it again
        select r.run_data #> '{}', r.run_id, coalesce(r.user_id, s.user_id), r.status, r.parent_run_id, null,
            coalesce(r.run_index, 0), r.created_at, false, true, r.parent_run_id is null
        from {schema}.agno_runs r where sure and r.session_id = s.session_id
        offset 0
    ) r
    left join lateral {schema}.memory_run_facts(r.run) f on not r.twice;

    if w.alone then
        people := array[row(s.session_id, {schema}.memory_user_key(s.user_id), s.user_id, true, w.runs, w.first_at,
            w.seen_at, active)::{schema}.memory_participant];
    else
        people := array(
            select row(s.session_id, {schema}.memory_user_key(u.user_id), u.user_id, bool_or(u.at is null),
                count(u.at), coalesce(min(u.at), s.created_at), coalesce(max(u.at), s.created_at),
                active)::{schema}.memory_participant
            from (select * from unnest(w.users, w.times) as x (user_id, at) union all select s.user_id, null) u
            where u.user_id is not null group by u.user_id order by 1);
    end if;
    if w.ats is not null then
        last := cardinality(w.ats);
        if w.positions[1] is not null then
            title := {schema}.memory_title(s.runs -> w.positions[1]::integer);
        else
            title := (select {schema}.memory_title(r.run_data) from {schema}.agno_runs r where r.run_id = w.ids[1]);
        end if;
        if w.positions[last] is not null then
            preview := {schema}.memory_preview(s.runs -> w.positions[last]::integer);
        else
            preview := (select {schema}.memory_preview(r.run_data)
                        from {schema}.agno_runs r where r.run_id = w.ids[last]);
        end if;
    end if;

    update {schema}.memory_thread t set
        session_type = s.session_type, user_id = s.user_id, name = f.name, first_text = title,
        last_text = preview, has_summary = f.has_summary, runs = w.runs, table_runs = w.table_runs,
        messages = w.messages, tool_calls = w.tool_calls, errors = w.errors, text_bytes = w.text_bytes,
        run_input_tokens = w.input_tokens, run_output_tokens = w.output_tokens,
        session_input_tokens = f.input_tokens, session_output_tokens = f.output_tokens, users = cardinality(people),
        column_runs = w.column_runs, column_sorted = w.column_sorted,
        first_run_at = w.ats[1], first_run_index = w.indexes[1], first_run_id = w.ids[1],
        last_run_at = w.ats[last], last_run_index = w.indexes[last], last_run_id = w.ids[last],
        last_status = w.statuses[last], created_at = s.created_at, updated_at = s.updated_at
    from {schema}.memory_session_facts(s) f
    where t.session_id = s.session_id and (sure or (t.table_runs = 0 and t.users = cardinality(people)));
    if not found then
        return false;
    end if;

    foreach p in array people loop
        update {schema}.memory_participant x set is_owner = p.is_owner, runs = p.runs, first_at = p.first_at,
            seen_at = p.seen_at, last_at = p.last_at
        where x.session_id = p.session_id and x.user_key = p.user_key;
        if not found then
            insert into {schema}.memory_participant select p.*;
            joined := true;
        end if;
    end loop;
    if sure or joined then
        delete from {schema}.memory_participant x
        where x.session_id = s.session_id and x.user_key not in (select u.user_key from unnest(people) u);
    end if;
    return true;
end $$
-- next
-- Count one thread in both places, whatever its index row says.
create or replace function {schema}.memory_write(s {schema}.agno_sessions) returns void
language plpgsql as $$
begin
    -- Whatever commits before this lock is granted is seen by the next statement. A later write waits for the
    -- lock and then counts itself.
    insert into {schema}.memory_thread (session_id, created_at) values (s.session_id, s.created_at)
        on conflict (session_id) do nothing;
    perform 1 from {schema}.memory_thread t where t.session_id = s.session_id for update;
    -- unpacked once, for all accesses in memory_put
    s.runs := s.runs #> '{}';
    perform {schema}.memory_put(s, true);
end $$
-- next
create or replace function {schema}.memory_forget(ids text[]) returns void
language sql as $$
    delete from {schema}.memory_participant where session_id = any (ids);
    delete from {schema}.memory_thread where session_id = any (ids);
$$
-- next
-- Count these threads again, and drop the rows of those that are gone.
create or replace function {schema}.memory_recount(ids text[]) returns void
language plpgsql as $$
declare
    one text;
    s {schema}.agno_sessions;
begin
    for one in select distinct u from unnest(ids) u where u is not null order by u loop
        -- locked before it is read, so that no commit of another writer in between is overwritten
        insert into {schema}.memory_thread (session_id, created_at) values (one, 0) on conflict (session_id) do nothing;
        perform 1 from {schema}.memory_thread t where t.session_id = one for update;
        select * into s from {schema}.agno_sessions where session_id = one;
        if found then
            s.runs := s.runs #> '{}';
            perform {schema}.memory_put(s, true);
        else
            perform {schema}.memory_forget(array[one]);
        end if;
    end loop;
end $$
-- next
-- Note threads whose index row could not be written. Never raises, because an agent's write must not fail.
create or replace function {schema}.memory_mark_dirty(ids text[], why text) returns void
language plpgsql as $$
begin
    insert into {schema}.memory_dirty (session_id, error)
        select distinct u, left(why, 300) from unnest(ids) u where u is not null;
exception when others then
    null;
end $$
-- next
-- Take up to `batch` dirty threads and count them again, all at once, or one by one if one of them fails: that one
-- goes to the end of the queue with its error. `skip locked` leaves rows to another process that mends. The lock
-- timeout is short, because agents wait for the rows that are locked here.
create or replace function {schema}.memory_mend(batch integer, up_to bigint, out mended integer, out failed integer)
language plpgsql
set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '100ms' as $$
declare
    ids text[];
    one text;
begin
    mended := 0;
    failed := 0;
    with taken as (
        select d.no, d.session_id from {schema}.memory_dirty d
        where d.no <= up_to order by d.no limit batch for update skip locked
    ), gone as (
        delete from {schema}.memory_dirty d using taken where d.no = taken.no
    )
    select array_agg(distinct session_id) into ids from taken;
    begin
        perform {schema}.memory_recount(ids);
        mended := coalesce(cardinality(ids), 0);
        return;
    exception when others then
        null;
    end;
    foreach one in array ids loop
        begin
            perform {schema}.memory_recount(array[one]);
            mended := mended + 1;
        exception when others then
            perform {schema}.memory_mark_dirty(array[one], sqlerrm);
            failed := failed + 1;
        end;
    end loop;
end $$
-- next
-- Count these users again from their participants. Rows are locked in one order, so that two processes cannot
-- wait for each other.
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
