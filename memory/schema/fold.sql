-- The feed is folded into the index: runs into memory_run, these into threads, participants and users. One process at a
-- time folds an agent's feed. Plans are generic, because planning costs more than the statements. They have neither
-- sequential scans nor nested loops: made when the index was empty, they would read all of it each time, or square a
-- long thread. Old rows are deleted before new ones are written, so that nothing depends on what happened to a run.
--
-- Bring memory_run up to date with what was written. Returns for each thread whether Agno reads its runs in another
-- order, and the texts of the first and the last run if they changed: {thread: {"reordered": …, key: [title, answer]}}.
create or replace function {schema}.memory_fold_runs(writes {schema}.memory_feed[], ids text[], whole text[])
returns jsonb language plpgsql set enable_seqscan = off set enable_nestloop = off
set plan_cache_mode = force_generic_plan as $$
declare
    threads jsonb;
begin
    -- read first, because a join with memory_run itself would be planned to read all of it
    with known as materialized (
        -- a thread that is counted whole is counted as if nothing was known of it
        select r.*, r.ctid as tid, w.id is not null as is_whole
        from {schema}.memory_run r left join unnest(whole) w (id) on w.id = r.session_id where r.session_id = any (ids)
    ), thread as materialized (
        select session_id::text, {schema}.memory_person(user_id) as owner,
            coalesce({schema}.memory_seconds(created_at), 0) as began
        from {schema}.agno_sessions where session_id = any (ids)
    ), element as materialized (
        -- a column is unpacked once, and of a run that is as it was nothing but its position goes on from here
        select s.session_id, n - 1 as position, k.key, k.fingerprint,
            case when m.is_whole or m.fingerprint is distinct from k.fingerprint
                then {schema}.memory_json(run) end as run
        from (select null::jsonb as runs) dropped
        cross join lateral (
            select session_id::text, runs::jsonb #> '{}' as runs
            from {schema}.agno_sessions where session_id = any (ids) offset 0) s
        cross join lateral jsonb_array_elements({schema}.memory_elements(s.runs)) with ordinality as e (run, n)
        cross join lateral (select jsonb_hash_extended(run, pg_column_size(run)) as fingerprint,
            lpad(to_hex(n - 1), 32, '0')::uuid as key) k
        left join known m on m.session_id = s.session_id and m.key = k.key
    ), named as (
        select session_id, run_id from {schema}.agno_runs where session_id = any (whole)
        union select session_id, run_id from unnest(writes) w where run_id is not null
    ), changed as materialized (
        select session_id, key, position::integer, coalesce(run ->> 'run_id', '') as run_id, null::bigint as run_index,
            {schema}.memory_began(run, {schema}.memory_time(run -> 'created_at')) as at,
            {schema}.memory_person(run ->> 'user_id') as user_id,
            left(run ->> 'status', 40) as status, run ->> 'parent_run_id' is null as is_root, fingerprint, run
        from element where run is not null
        union all
        -- #> '{}' unpacks a run once, without it every access to a field would unpack it again
        select r.session_id, {schema}.memory_key(r.run_id), null, r.run_id, r.run_index,
            {schema}.memory_began(r.run, {schema}.memory_seconds(r.created_at)), {schema}.memory_person(r.user_id),
            left(r.status, 40), r.parent_run_id is null, null, {schema}.memory_json(r.run)
        -- offset 0 keeps Postgres from looking through all runs of the thread
        from named cross join lateral (
            select *, run_data #> '{}' as run from {schema}.agno_runs r where r.run_id = named.run_id offset 0) r
        where r.session_id = named.session_id
    ), kept as materialized (
        select k.* from known k
        left join (select session_id, key from changed
            union select session_id, {schema}.memory_key(run_id) from named) n using (session_id, key)
        left join (select session_id, max(position) as last from element group by session_id) l using (session_id)
        where n.key is null and not (is_whole and position is null) and (position > coalesce(last, -1)) is not true
    ), every as materialized (
        select session_id, key, position, run_id, run_index, at, user_id, is_root, tid, place from kept
        union all
        select session_id, key, position, run_id, run_index, at, user_id, is_root, null, null from changed
    ), twice as (
        -- a row of the table stands in for the element of its id
        select e.session_id, run_id, min(e.position) as position from every e join every r using (session_id, run_id)
        where e.position is not null and r.position is null and run_id <> '' group by e.session_id, run_id
    ), ordered as (
        -- for a person: the column's runs in their order, then the owner's as Agno numbered them, whatever the clocks
        -- say, and each run of another speaker at its time among these
        select *, row_number() over agno as agno_place,
            case when is_owners then max(at) filter (where is_owners and in_column is null) over agno
                else at end as since
        from (
            select e.session_id, key, e.run_id, run_index, is_root, tid, place, e.position,
                coalesce(at, began) as at, coalesce(e.position, t.position) as in_column,
                e.position is not null and t.position is not null as is_replaced,
                coalesce(user_id = owner, true) as is_owners
            from every e join thread using (session_id) left join twice t using (session_id, run_id)) e
        window agno as (partition by session_id, is_replaced order by in_column, run_index, at, run_id)
    ), placed as materialized (
        select *, case when is_replaced then -1 - position else row_number() over (
                partition by session_id, is_replaced order by in_column, since, is_owners desc, agno_place) - 1
            end as new_place
        from ordered
    ), gone as (
        delete from {schema}.memory_run where ctid = any (array(
            select k.tid from known k left join placed p on p.tid = k.tid and p.place = p.new_place
            where p.tid is null)) returning 1
    ), put as (
        insert into {schema}.memory_run (session_id, key, place, position, run_id, run_index, at, user_id, status,
            is_root, messages, tool_calls, tool_errors, text_bytes, input_tokens, output_tokens, inside, fingerprint)
        select c.session_id, c.key, p.new_place, c.position, c.run_id, c.run_index, c.at, c.user_id, c.status,
            c.is_root, f.messages, f.tool_calls, f.tool_errors, f.text_bytes, f.input_tokens, f.output_tokens, f.inside,
            c.fingerprint
        from changed c join placed p using (session_id, key) cross join lateral {schema}.memory_facts(c.run) f
        where (select count(*) from gone) >= 0
        union all
        select k.session_id, k.key, p.new_place, k.position, k.run_id, k.run_index, k.at, k.user_id, k.status,
            k.is_root, k.messages, k.tool_calls, k.tool_errors, k.text_bytes, k.input_tokens, k.output_tokens, k.inside,
            k.fingerprint
        from kept k join placed p using (session_id, key) where p.place is distinct from p.new_place
    ), said as (
        select e.session_id, jsonb_object_agg(c.key, jsonb_build_array(
            {schema}.memory_title(c.run), {schema}.memory_preview(c.run))) as texts
        from (
            select session_id, min(new_place) as first, max(new_place) as last
            from placed where is_root and new_place >= 0 group by session_id) e
        join placed p on p.session_id = e.session_id and p.new_place in (e.first, e.last)
        join changed c on c.session_id = e.session_id and c.key = p.key group by e.session_id
    )
    select jsonb_object_agg(session_id, coalesce(texts, '{}') || jsonb_build_object('reordered', reordered))
    from (select session_id, bool_or(new_place >= 0 and new_place + 1 <> agno_place) as reordered
        from placed group by session_id) o
    left join said using (session_id) into threads;
    return coalesce(threads, '{}');
end $$;
-- The runs of these threads with their times and users. `counts` is false for an element of the column that the table
-- has too.
create or replace function {schema}.memory_runs_of(ids text[]) returns table (
    session_id text, run {schema}.memory_run, at bigint, user_id text, counts boolean)
language sql stable as $$
    select m.session_id, m, coalesce(m.at, {schema}.memory_seconds(s.created_at)),
        coalesce(m.user_id, {schema}.memory_person(s.user_id)),
        m.place >= 0
    from {schema}.agno_sessions s join {schema}.memory_run m on m.session_id = s.session_id
    where s.session_id = any (ids) and m.session_id = any (ids)
$$;
-- When a thread began: by its own row, else by its first run; 0 if nobody knows.
create or replace function {schema}.memory_created(id text, created bigint, updated bigint) returns bigint
language sql stable as $$
    select coalesce({schema}.memory_seconds(created),
        (select min(m.at) from {schema}.memory_run m where m.session_id = id and m.place >= 0),
        {schema}.memory_seconds(updated), 0)
$$;
-- One run as it is stored.
create or replace function {schema}.memory_stored(m {schema}.memory_run) returns jsonb language sql stable as $$
    select {schema}.memory_json(case when m.position is null
        then (select run_data from {schema}.agno_runs r where r.run_id = m.run_id)
        else {schema}.memory_elements({schema}.memory_column(m.session_id)) -> m.position end)
$$;
-- Write the rows of these threads anew from memory_run, with what memory_fold_runs returned.
create or replace function {schema}.memory_fold_threads(ids text[], texts jsonb) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off
set plan_cache_mode = force_generic_plan as $$
begin
    with old as (
        delete from {schema}.memory_thread where session_id = any (ids) returning *
    ), run as materialized (
        select * from {schema}.memory_runs_of(ids)
    ), inside as (
        -- a run inside another may be stored by itself, too
        select r.session_id, sum((i -> 2)::integer) as messages, sum((i -> 3)::integer) as calls,
            sum((i -> 4)::integer + (i -> 1)::boolean::integer) as errors, sum((i -> 5)::bigint) as bytes,
            sum((i -> 6)::bigint) as input, sum((i -> 7)::bigint) as output
        from (select session_id, i from run cross join lateral jsonb_array_elements((run).inside) i
              where counts and (run).inside is not null) r
        left join run own on own.session_id = r.session_id and own.counts and (own.run).run_id = i ->> 0
        where own.session_id is null group by r.session_id
    ), total as (
        select session_id, count(*) filter (where counts) as runs, count(*) - count((run).position) as table_runs,
            count((run).position) as column_runs,
            sum((run).messages) filter (where counts) as messages, sum((run).tool_calls) filter (where counts) as calls,
            sum((run).tool_errors) filter (where counts) + count(*) filter (
                where counts and (run).status = 'ERROR') as errors,
            sum((run).text_bytes) filter (where counts) as bytes,
            sum((run).input_tokens) filter (where counts) as input,
            sum((run).output_tokens) filter (where counts) as output,
            (array_agg(run order by (run).place) filter (where counts and (run).is_root))[1] as first,
            (array_agg(run order by (run).place desc) filter (where counts and (run).is_root))[1] as last
        from run group by session_id
    )
    insert into {schema}.memory_thread (names_folded, texts_folded, session_id, session_type, user_id, name,
        first_text, last_text, has_summary, runs, messages, tool_calls, errors, text_bytes, run_input_tokens,
        run_output_tokens, session_input_tokens, session_output_tokens, users, table_runs, column_runs, reordered,
        first_run, last_run, last_status, created_at, updated_at)
    select {schema}.memory_folded(concat_ws(chr(31), name, t.session_id, t.user_id)),
        {schema}.memory_folded(concat_ws(chr(31), first_text, last_text)), t.*
    from (select s.session_id, s.session_type, {schema}.memory_person(s.user_id) as user_id,
            {schema}.memory_name(d.data) as name,
        case when x.texts ? (n.first).key::text then x.texts -> (n.first).key::text ->> 0
            when o.first_run = (n.first).key then o.first_text
            else {schema}.memory_title({schema}.memory_stored(n.first)) end as first_text,
        case when x.texts ? (n.last).key::text then x.texts -> (n.last).key::text ->> 1
            when o.last_run = (n.last).key then o.last_text
            else {schema}.memory_preview({schema}.memory_stored(n.last)) end as last_text,
        coalesce(jsonb_typeof({schema}.memory_json(s.summary::jsonb)) = 'object', false), coalesce(n.runs, 0),
        coalesce(n.messages + coalesce(i.messages, 0), 0), coalesce(n.calls + coalesce(i.calls, 0), 0),
        coalesce(n.errors + coalesce(i.errors, 0), 0), coalesce(n.bytes + coalesce(i.bytes, 0), 0),
        coalesce(n.input + coalesce(i.input, 0), 0), coalesce(n.output + coalesce(i.output, 0), 0),
        {schema}.memory_count(d.data #> '{session_metrics,input_tokens}'),
        {schema}.memory_count(d.data #> '{session_metrics,output_tokens}'),
        (select count(*) from {schema}.memory_participant p where p.session_id = s.session_id),
        coalesce(n.table_runs, 0), coalesce(n.column_runs, 0), coalesce((x.texts -> 'reordered')::boolean, false),
        (n.first).key, (n.last).key, (n.last).status,
        {schema}.memory_created(s.session_id, s.created_at, s.updated_at), {schema}.memory_seconds(s.updated_at)
    from {schema}.agno_sessions s
    cross join lateral (select {schema}.memory_json(s.session_data::jsonb #> '{}') as data) d
    cross join lateral (select texts -> s.session_id as texts) x
    left join total n on n.session_id = s.session_id
    left join inside i on i.session_id = s.session_id
    left join old o on o.session_id = s.session_id
    where s.session_id = any (ids) and (select count(*) from old) >= 0) t;
end $$;
-- Write the participants of these threads anew, and change the sums of their users by the difference.
create or replace function {schema}.memory_fold_users(ids text[]) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off
set plan_cache_mode = force_generic_plan as $$
declare
    lost uuid[];
begin
    with own as materialized (
        select session_id::text, {schema}.memory_person(user_id) as user_id,
            {schema}.memory_seconds(updated_at) as updated_at,
            {schema}.memory_created(session_id, created_at, updated_at) as created_at
        from {schema}.agno_sessions where session_id = any (ids)
    ), fresh as (
        select s.session_id, {schema}.memory_key(p.user_id) as user_key, p.user_id, bool_or(not is_run) as is_owner,
            sum(is_run::integer)::integer as runs, coalesce(min(at), min(s.created_at)) as first_at,
            coalesce(max(at), min(s.created_at)) as seen_at, min(coalesce(s.updated_at, s.created_at)) as last_at
        from (select session_id, user_id, at, true as is_run from {schema}.memory_runs_of(ids) where counts
              union all select session_id, user_id, null, false from own) p
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
    threads jsonb;
    half {schema}.memory_feed[];
begin
    perform from {schema}.memory_turn for update;
    with waited as (delete from {schema}.memory_backlog where session_id = any (ids) returning session_id)
    select array(select session_id from waited
        union select w.session_id from unnest(writes) w where w.whole) into whole;
    threads := {schema}.memory_fold_runs(writes, ids, whole);
    perform {schema}.memory_fold_users(ids);
    perform {schema}.memory_fold_threads(ids, threads);
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
-- Whether a row of the feed is of a thread that was deleted. By a lookup for each, which no plan turns into a scan;
-- only rows with `whole` can be, and to ask that first costs no call.
create or replace function {schema}.memory_gone(w {schema}.memory_feed) returns boolean language sql stable as $$
    select (select true from {schema}.agno_sessions where session_id = w.session_id) is null
$$;
-- Take rows of up to `most` threads from the feed and count them, and return how many rows they were; null if another
-- process folds for longer. Threads that were deleted together go together, up to 10,000, so that nobody sees half a
-- deletion. Else no more than some 2 MB is read, and what is large is left to another if `bounded`.
create or replace function {schema}.memory_fold(most integer, bounded boolean) returns integer
language plpgsql set enable_seqscan = off set lock_timeout = '200ms' as $$
declare
    writes {schema}.memory_feed[];
    gone bigint := (
        select count(*) from (
            select from {schema}.memory_feed w where w.whole and {schema}.memory_gone(w) limit 10001) w);
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
            select w.ctid from {schema}.memory_feed w
            where w.whole and {schema}.memory_gone(w) limit 10000)) returning f)
        select writes || array_agg(f) into writes from taken;
    end if;
    if writes is not null then
        perform {schema}.memory_recount(writes);
    end if;
    return coalesce(cardinality(writes), 0);
end $$;
-- Only the owner may call these functions. A trigger runs without that right.
revoke all on all functions in schema {schema} from public;
