-- The feed is folded into the index: runs into memory_run, these into threads, participants and users. One process at a
-- time folds an agent's feed. Plans are generic, because planning costs more than the statements. They have neither
-- sequential scans nor nested loops: made when the index was empty, they would read all of it each time, or square a
-- long thread. Old rows are deleted before new ones are written, so that nothing depends on what happened to a run.
--
-- Bring memory_run up to date with what was written. Returns the texts of the first and the last run that changed in
-- each thread, as {thread: {key: [title, preview]}}.
create or replace function {schema}.memory_fold_runs(writes {schema}.memory_feed[], ids text[], whole text[])
returns jsonb language plpgsql set enable_seqscan = off set enable_nestloop = off
set plan_cache_mode = force_generic_plan as $$
declare
    texts jsonb;
begin
    -- read first, because a join with memory_run itself would be planned to read all of it
    with row as materialized (
        select session_id, key, position, fingerprint, ctid as place
        from {schema}.memory_run where session_id = any (ids)
    ), known as materialized (
        -- a thread that is counted whole is counted as if nothing was known of it
        select session_id, key, position, place, is_whole,
            case when is_whole is null then fingerprint end as fingerprint
        from row left join (select session_id, true as is_whole from unnest(whole) w (session_id)) w using (session_id)
    ), element as materialized (
        -- a column is unpacked once, and of a run that is as it was nothing but its position goes on from here
        select s.session_id, s.created_at, n - 1 as position, k.key, k.fingerprint,
            case when m.fingerprint is distinct from k.fingerprint then run end as run
        from (select null::jsonb as runs) dropped
        cross join lateral (
            select session_id::text, created_at, runs::jsonb #> '{}' as runs
            from {schema}.agno_sessions where session_id = any (ids) offset 0) s
        cross join lateral jsonb_array_elements({schema}.memory_list(s.runs)) with ordinality as e (run, n)
        cross join lateral (select jsonb_hash_extended(run, pg_column_size(run)) as fingerprint,
            lpad(to_hex(n - 1), 32, '0')::uuid as key) k
        left join known m on m.session_id = s.session_id and m.key = k.key
    ), changed as materialized (
        select session_id, key, position::integer, coalesce(run ->> 'run_id', '') as run_id, position as run_index,
            {schema}.memory_int(run -> 'created_at') as at, created_at as began, run ->> 'user_id' as user_id,
            left(run ->> 'status', 40) as status, run ->> 'parent_run_id' is null as is_root, fingerprint, run
        from element where run is not null
        union all
        -- #> '{}' unpacks a run once, without it every access to a field would unpack it again
        select r.session_id, {schema}.memory_key(r.run_id), null, r.run_id, coalesce(r.run_index, 0), r.created_at,
            r.created_at, r.user_id, left(r.status, 40), r.parent_run_id is null, null, r.run_data #> '{}'
        from (select session_id, run_id from {schema}.agno_runs where session_id = any (whole)
              union select session_id, run_id from unnest(writes) w where run_id is not null) named
        -- offset 0 keeps Postgres from looking through all runs of the thread, here and below
        cross join lateral (select * from {schema}.agno_runs r where r.run_id = named.run_id offset 0) r
        where r.session_id = named.session_id
    ), dropped as (
        delete from {schema}.memory_run where ctid = any (array(
            select place from known join (
                select session_id, key from changed
                union all select session_id, {schema}.memory_key(run_id) from unnest(writes) w where run_id is not null
            ) named using (session_id, key)
            union all
            select place from known
            left join (select session_id, max(position) as last from element group by session_id) l using (session_id)
            where is_whole and position is null or position > coalesce(last, -1))) returning 1
    ), put as (
        insert into {schema}.memory_run
        select c.session_id, c.key, c.position, c.run_id, c.run_index, c.at, c.user_id, c.status, c.is_root, f.messages,
            f.tool_calls, f.tool_errors, f.text_bytes, f.input_tokens, f.output_tokens, c.fingerprint
        from changed c cross join lateral {schema}.memory_run_facts(c.run) f where (select count(*) from dropped) >= 0
    ), edge as (
        select session_id, array[
            (array_agg(key order by coalesce(at, began), run_index, run_id))[1],
            (array_agg(key order by coalesce(at, began) desc, run_index desc, run_id desc))[1]] as keys
        from changed c where is_root and (position is null or c.session_id is distinct from (
            select r.session_id from {schema}.agno_runs r where r.run_id = c.run_id))
        group by session_id
    ), said as (
        select e.session_id, jsonb_object_agg(c.key, jsonb_build_array(
            {schema}.memory_title(c.run), {schema}.memory_preview(c.run))) as texts
        from edge e join changed c on c.session_id = e.session_id and c.key = any (e.keys) group by e.session_id
    )
    select jsonb_object_agg(session_id, said.texts) from said into texts;
    return coalesce(texts, '{}');
end $$;
-- The runs of these threads with their times and users. A run of the column does not count if the table has it too.
create or replace function {schema}.memory_runs_of(ids text[]) returns table (
    session_id text, run {schema}.memory_run, at bigint, user_id text, counts boolean)
language sql stable as $$
    select m.session_id, m, coalesce(m.at, s.created_at), coalesce(m.user_id, s.user_id),
        m.position is null or not bool_or(m.position is null) over (partition by m.session_id, m.run_id)
    from {schema}.agno_sessions s join {schema}.memory_run m on m.session_id = s.session_id
    where s.session_id = any (ids) and m.session_id = any (ids)
$$;
-- One run as it is stored.
create or replace function {schema}.memory_stored(id text, run uuid) returns jsonb language sql stable as $$
    select case when m.position is null then (select run_data from {schema}.agno_runs r where r.run_id = m.run_id)
        else {schema}.memory_column(id) -> m.position end
    from {schema}.memory_run m where m.session_id = id and m.key = run
$$;
-- Write the rows of these threads anew from memory_run.
create or replace function {schema}.memory_fold_threads(ids text[], texts jsonb) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off
set plan_cache_mode = force_generic_plan as $$
begin
    with old as (
        delete from {schema}.memory_thread where session_id = any (ids) returning *
    ), total as (
        select session_id, count(*) filter (where counts) as runs, count(*) - count((run).position) as table_runs,
            count((run).position) as column_runs, bool_and(sorted or (run).position is null) as column_sorted,
            sum((run).messages) filter (where counts) as messages, sum((run).tool_calls) filter (where counts) as calls,
            sum((run).tool_errors) filter (where counts) + count(*) filter (
                where counts and (run).status = 'ERROR') as errors,
            sum((run).text_bytes) filter (where counts) as bytes,
            sum((run).input_tokens) filter (where counts) as input,
            sum((run).output_tokens) filter (where counts) as output,
            (array_agg(run order by at, (run).run_index, (run).run_id)
                filter (where counts and (run).is_root))[1] as first,
            (array_agg(run order by at desc, (run).run_index desc, (run).run_id desc)
                filter (where counts and (run).is_root))[1] as last
        from (select *, at >= lag(at, 1, at) over (partition by session_id order by (run).position) as sorted
              from {schema}.memory_runs_of(ids)) r
        group by session_id
    )
    insert into {schema}.memory_thread (session_id, session_type, user_id, name, first_text, last_text, has_summary,
        runs, messages, tool_calls, errors, text_bytes, run_input_tokens, run_output_tokens, session_input_tokens,
        session_output_tokens, users, table_runs, column_runs, column_sorted, first_run, last_run, last_status,
        created_at, updated_at)
    select s.session_id, s.session_type, s.user_id, {schema}.memory_line(d.data ->> 'session_name'),
        case when x.texts ? (n.first).key::text then x.texts -> (n.first).key::text ->> 0
            when o.first_run = (n.first).key then o.first_text
            else {schema}.memory_title({schema}.memory_stored(s.session_id, (n.first).key)) end,
        case when x.texts ? (n.last).key::text then x.texts -> (n.last).key::text ->> 1
            when o.last_run = (n.last).key then o.last_text
            else {schema}.memory_preview({schema}.memory_stored(s.session_id, (n.last).key)) end,
        coalesce(jsonb_typeof(s.summary::jsonb) = 'object', false), coalesce(n.runs, 0), coalesce(n.messages, 0),
        coalesce(n.calls, 0), coalesce(n.errors, 0), coalesce(n.bytes, 0), coalesce(n.input, 0), coalesce(n.output, 0),
        {schema}.memory_count(d.data #> '{session_metrics,input_tokens}'),
        {schema}.memory_count(d.data #> '{session_metrics,output_tokens}'),
        (select count(*) from {schema}.memory_participant p where p.session_id = s.session_id),
        coalesce(n.table_runs, 0), coalesce(n.column_runs, 0), coalesce(n.column_sorted, true), (n.first).key,
        (n.last).key, (n.last).status, s.created_at, s.updated_at
    from {schema}.agno_sessions s
    cross join lateral (select s.session_data::jsonb #> '{}' as data) d
    cross join lateral (select texts -> s.session_id as texts) x
    left join total n on n.session_id = s.session_id
    left join old o on o.session_id = s.session_id
    where s.session_id = any (ids) and (select count(*) from old) >= 0;
end $$;
-- Write the participants of these threads anew, and change the sums of their users by the difference.
create or replace function {schema}.memory_fold_users(ids text[]) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off
set plan_cache_mode = force_generic_plan as $$
declare
    lost uuid[];
begin
    with own as materialized (
        select session_id::text, user_id::text, created_at, updated_at
        from {schema}.agno_sessions where session_id = any (ids)
    ), fresh as (
        select s.session_id, {schema}.memory_key(p.user_id) as user_key, p.user_id, bool_or(at is null) as is_owner,
            count(at)::integer as runs, coalesce(min(at), min(s.created_at)) as first_at,
            coalesce(max(at), min(s.created_at)) as seen_at, min(coalesce(s.updated_at, s.created_at)) as last_at
        from (select session_id, user_id, at from {schema}.memory_runs_of(ids) where counts
              union all select session_id, user_id, null from own) p
        join own s on s.session_id = p.session_id
        where p.user_id is not null group by s.session_id, p.user_id
    ), stale as (
        delete from {schema}.memory_participant where session_id = any (ids) returning *
    ), put as (
        insert into {schema}.memory_participant
            (session_id, user_key, user_id, is_owner, runs, first_at, seen_at, last_at)
        select * from fresh where (select count(*) from stale) >= 0
    ), change as (
        select user_key, min(user_id) as user_id, sum(one)::integer as threads, sum(one * runs) as runs,
            min(first_at) filter (where one = 1) as first_at, max(seen_at) filter (where one = 1) as seen_at,
            min(first_at) filter (where one = -1) as old_first_at, max(seen_at) filter (where one = -1) as old_seen_at
        from (select 1 as one, * from fresh union all select -1, * from stale) p group by user_key
    ), rolled as (
        insert into {schema}.memory_user as u (user_key, user_id, threads, runs, first_at, seen_at)
        select user_key, user_id, threads, runs, coalesce(first_at, old_first_at), coalesce(seen_at, old_seen_at)
        from change where threads <> 0 or runs <> 0 or (first_at, seen_at) is distinct from (old_first_at, old_seen_at)
        on conflict (user_key) do update set threads = u.threads + excluded.threads, runs = u.runs + excluded.runs,
            first_at = least(u.first_at, excluded.first_at), seen_at = greatest(u.seen_at, excluded.seen_at)
    )
    select array_agg(c.user_key) into lost from change c
    cross join lateral (select * from {schema}.memory_user u where u.user_key = c.user_key offset 0) u
    where c.threads + u.threads <= 0 or c.old_first_at <= u.first_at and (c.first_at <= c.old_first_at) is not true
        or c.old_seen_at >= u.seen_at and (c.seen_at >= c.old_seen_at) is not true;
    -- a first or last time that is gone is looked for in the user's other threads
    if lost is not null then
        perform {schema}.memory_recount_users(lost);
    end if;
end $$;
-- Sum these users anew from their participants.
create or replace function {schema}.memory_recount_users(keys uuid[]) returns void
language sql as $$
    delete from {schema}.memory_user where user_key = any (keys);
    insert into {schema}.memory_user (user_key, user_id, threads, runs, first_at, seen_at)
    select user_key, min(user_id), count(*), sum(runs), min(first_at), max(seen_at)
    from {schema}.memory_participant where user_key = any (keys) group by user_key;
$$;
-- Count what was written, threads of the backlog whole. By halves if that fails: a thread that cannot be counted waits
-- in the backlog with its error.
create or replace function {schema}.memory_recount(writes {schema}.memory_feed[]) returns void
language plpgsql as $$
declare
    ids text[] := array(select distinct w.session_id from unnest(writes) w order by 1);
    whole text[];
    texts jsonb;
    half {schema}.memory_feed[];
begin
    perform from {schema}.memory_turn for update;
    with waited as (delete from {schema}.memory_backlog where session_id = any (ids) returning session_id)
    select array(select session_id from waited
        union select w.session_id from unnest(writes) w where w.whole) into whole;
    texts := {schema}.memory_fold_runs(writes, ids, whole);
    perform {schema}.memory_fold_users(ids);
    perform {schema}.memory_fold_threads(ids, texts);
exception when lock_not_available or deadlock_detected then
    raise;
when others then
    if cardinality(ids) = 1 then
        insert into {schema}.memory_backlog (session_id, error) values (ids[1], left(sqlerrm, 300))
        on conflict (session_id) do update set error = excluded.error, at = excluded.at;
    else
        for half in
            select array_agg(w) from unnest(writes) w group by w.session_id <= ids[cardinality(ids) / 2]
        loop
            perform {schema}.memory_recount(half);
        end loop;
    end if;
end $$;
-- Count what waits of these threads.
create or replace function {schema}.memory_catch_up(ids text[]) returns void
language plpgsql set enable_nestloop = off as $$
declare
    writes {schema}.memory_feed[];
begin
    if exists (select from {schema}.memory_feed f join unnest(ids) i (id) on f.session_id = i.id) then
        perform from {schema}.memory_turn for update;
        with taken as (
            delete from {schema}.memory_feed f using unnest(ids) i (id) where f.session_id = i.id returning f)
        select array_agg(f) into writes from taken;
        perform {schema}.memory_recount(writes) where writes is not null;
    end if;
end $$;
-- The stored size of what a row of the feed asks to read.
create or replace function {schema}.memory_weight(w {schema}.memory_feed) returns bigint language sql stable as $$
    select coalesce(pg_column_size({schema}.memory_column(w.session_id)), 0)
        + coalesce((select pg_column_size(run_data) from {schema}.agno_runs where run_id = w.run_id), 0)
        + case when w.whole then coalesce((
            select sum(pg_column_size(run_data)) from {schema}.agno_runs where session_id = w.session_id), 0) else 0 end
$$;
-- Whether a row of the feed is of a thread that was deleted. By a lookup for each, which no plan turns into a scan.
create or replace function {schema}.memory_gone(w {schema}.memory_feed) returns boolean language sql stable as $$
    select w.whole and (select true from {schema}.agno_sessions where session_id = w.session_id) is null
$$;
-- Take rows of up to `most` threads from the feed and count them, and return how many rows they were; null if another
-- process folds for longer. Threads that were deleted together go together, up to 10,000, so that nobody sees half a
-- deletion. Else no more than some 2 MB is read, and what is large is left to another if `bounded`.
create or replace function {schema}.memory_fold(most integer, bounded boolean) returns integer
language plpgsql set enable_seqscan = off set lock_timeout = '200ms' as $$
declare
    writes {schema}.memory_feed[];
    gone bigint := (
        select count(*) from (select from {schema}.memory_feed w where {schema}.memory_gone(w) limit 10001) w);
begin
    if bounded and gone > 10000 then
        return 0;
    end if;
    begin
        perform set_config('lock_timeout', '1s', true) where gone > 0;
        perform from {schema}.memory_turn for update;
    exception when lock_not_available then
        return null;
    end;
    -- no wait for the disk: what a crash undoes is in the feed again
    perform set_config('synchronous_commit', 'off', true);
    with next as materialized (
        select session_id from {schema}.memory_feed limit most
    ), weighed as (
        -- all that waits of a thread, because to sum its runs anew may cost more than these
        select w.ctid, {schema}.memory_weight(w) as weight from {schema}.memory_feed w
        where w.session_id in (select session_id from next) limit case when bounded then most else 10000 end
    ), taken as (
        delete from {schema}.memory_feed f where f.ctid = any (array(
            select ctid from (
                select *, sum(weight) over (rows between unbounded preceding and 1 preceding) as before
                from weighed where weight < 1000000 or not bounded) w
            where coalesce(before, 0) < 2000000)) returning f
    )
    select array_agg(f) into writes from taken;
    if gone > 0 then
        with taken as (delete from {schema}.memory_feed f where f.ctid = any (array(
            select w.ctid from {schema}.memory_feed w where {schema}.memory_gone(w) limit 10000)) returning f)
        select writes || array_agg(f) into writes from taken;
    end if;
    if writes is not null then
        perform {schema}.memory_recount(writes);
    end if;
    return coalesce(cardinality(writes), 0);
end $$;
-- Only the owner may call these functions. A trigger runs without that right.
revoke all on all functions in schema {schema} from public;
