-- Triggers write the index in the transaction of an agent's write. They run as the studio's role with a fixed
-- search_path, wait at most 50 ms for a lock, and never raise: on any error the thread is noted in memory_dirty,
-- and the agent's write commits. No sequential scans, because a plan that was made when the index was empty would
-- read all of it at each write. Generic plans, because planning costs more than the statement.
--
-- The triggers of memory_user come first, because they must exist before any trigger writes participants. They
-- lock rows in one order, so that two writers cannot wait for each other.
create or replace function {schema}.memory_users_added() returns trigger
language plpgsql as $$
begin
    if not exists (select 1 from fresh) then
        return null;
    end if;
    insert into {schema}.memory_user as u (user_key, user_id, threads, runs, first_at, seen_at)
    select user_key, min(user_id), count(*), sum(runs), min(first_at), max(seen_at)
    from fresh group by user_key order by user_key
    on conflict (user_key) do update set threads = u.threads + excluded.threads, runs = u.runs + excluded.runs,
        first_at = least(u.first_at, excluded.first_at), seen_at = greatest(u.seen_at, excluded.seen_at);
    return null;
end $$
-- next
create or replace trigger memory_users_added after insert on {schema}.memory_participant
    referencing new table as fresh for each statement execute function {schema}.memory_users_added()
-- next
-- If the thread with a user's first or last time changes it, that time is looked for in their other threads.
create or replace function {schema}.memory_users_extremes(keys uuid[]) returns void
language sql as $$
    update {schema}.memory_user u set first_at = p.first_at, seen_at = p.seen_at
    from (select user_key, min(first_at) as first_at, max(seen_at) as seen_at
          from {schema}.memory_participant where user_key = any (keys) group by user_key) p
    where u.user_key = p.user_key
$$
-- next
create or replace function {schema}.memory_users_changed() returns trigger
language plpgsql as $$
begin
    update {schema}.memory_user u set runs = u.runs + new.runs - old.runs,
        first_at = least(u.first_at, new.first_at), seen_at = greatest(u.seen_at, new.seen_at)
    where u.user_key = new.user_key;
    if new.first_at > old.first_at or new.seen_at < old.seen_at then
        perform {schema}.memory_users_extremes(array[new.user_key]);
    end if;
    return null;
end $$
-- next
create or replace trigger memory_users_changed after update on {schema}.memory_participant
    for each row when ((new.runs, new.first_at, new.seen_at) is distinct from (old.runs, old.first_at, old.seen_at))
    execute function {schema}.memory_users_changed()
-- next
create or replace function {schema}.memory_users_removed() returns trigger
language plpgsql as $$
declare
    lost uuid[];
begin
    if not exists (select 1 from gone) then
        return null;
    end if;
    perform 1 from {schema}.memory_user u where u.user_key in (select user_key from gone)
        order by u.user_key for update;
    delete from {schema}.memory_user u using (select user_key, count(*) as threads from gone group by user_key) d
    where u.user_key = d.user_key and u.threads <= d.threads;
    -- a first or last time that was in a removed thread is looked for in the user's other threads
    lost := array(select distinct gone.user_key from gone join {schema}.memory_user u using (user_key)
        where gone.first_at <= u.first_at or gone.seen_at >= u.seen_at);
    update {schema}.memory_user u set threads = u.threads - d.threads, runs = u.runs - d.runs,
        first_at = coalesce(p.first_at, u.first_at), seen_at = coalesce(p.seen_at, u.seen_at)
    from (select user_key, count(*) as threads, sum(runs) as runs from gone group by user_key) d
    left join (select user_key, min(first_at) as first_at, max(seen_at) as seen_at
               from {schema}.memory_participant where user_key = any (lost) group by user_key) p using (user_key)
    where u.user_key = d.user_key;
    return null;
end $$
-- next
create or replace trigger memory_users_removed after delete on {schema}.memory_participant
    referencing old table as gone for each statement execute function {schema}.memory_users_removed()
-- next
create or replace function {schema}.memory_session_runs() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '50ms' as $$
begin
    if tg_op = 'INSERT' or not {schema}.memory_put(new, false) then
        perform {schema}.memory_write(new);
    end if;
    return new;
exception when others then
    perform {schema}.memory_mark_dirty(array[new.session_id], sqlerrm);
    return new;
end $$
-- next
create or replace trigger memory_session_inserted after insert on {schema}.agno_sessions
    for each row execute function {schema}.memory_session_runs()
-- next
-- BEFORE, because new.runs is still in memory then. "of runs", because agno 3 never writes the column.
create or replace trigger memory_session_runs before update of runs on {schema}.agno_sessions
    for each row execute function {schema}.memory_session_runs()
-- next
-- For updates of the other columns of a session. Agno 3 does not change the column runs, so its size stays the
-- same: that is how the trigger knows that the one above did not run.
create or replace function {schema}.memory_session_fields() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '50ms' as $$
declare
    f record;
    -- not the row type of a table: if the table is missing, that fails before exceptions are caught
    t record;
begin
    if new.session_id is distinct from old.session_id then
        perform {schema}.memory_recount(array[old.session_id, new.session_id]);
        return null;
    end if;
    select * into t from {schema}.memory_thread where session_id = new.session_id for update;
    if not found or t.user_id is distinct from new.user_id or t.created_at <> new.created_at then
        perform {schema}.memory_recount(array[new.session_id]);
        return null;
    end if;
    select * into f from {schema}.memory_session_facts(new);
    if (t.session_type, t.name, t.has_summary, t.session_input_tokens, t.session_output_tokens, t.updated_at)
        is not distinct from
       (new.session_type::text, f.name, f.has_summary, f.input_tokens, f.output_tokens, new.updated_at) then
        return null;
    end if;
    update {schema}.memory_thread set session_type = new.session_type, name = f.name, has_summary = f.has_summary,
        session_input_tokens = f.input_tokens, session_output_tokens = f.output_tokens, updated_at = new.updated_at
    where session_id = new.session_id;
    if t.last_at <> coalesce(new.updated_at, new.created_at) then
        update {schema}.memory_participant set last_at = coalesce(new.updated_at, new.created_at)
        where session_id = new.session_id;
    end if;
    return null;
exception when others then
    perform {schema}.memory_mark_dirty(array[old.session_id, new.session_id], sqlerrm);
    return null;
end $$
-- next
create or replace trigger memory_session_updated after update on {schema}.agno_sessions
    for each row when (new.session_id is distinct from old.session_id
        or pg_column_size(new.runs) is not distinct from pg_column_size(old.runs))
    execute function {schema}.memory_session_fields()
-- next
create or replace function {schema}.memory_sessions_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms' as $$
begin
    perform {schema}.memory_forget((select array_agg(session_id::text) from gone));
    return null;
exception when others then
    perform {schema}.memory_mark_dirty((select array_agg(session_id::text) from gone), sqlerrm);
    return null;
end $$
-- next
create or replace trigger memory_sessions_deleted after delete on {schema}.agno_sessions
    referencing old table as gone for each statement execute function {schema}.memory_sessions_deleted()
-- next
create or replace function {schema}.memory_truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_table_name = 'agno_sessions' then
        truncate {schema}.memory_thread, {schema}.memory_participant, {schema}.memory_user;
    else
        perform {schema}.memory_recount(
            array(select t.session_id from {schema}.memory_thread t where t.table_runs > 0));
    end if;
    return null;
exception when others then
    perform {schema}.memory_mark_dirty(array(select t.session_id from {schema}.memory_thread t), sqlerrm);
    return null;
end $$
-- next
create or replace trigger memory_sessions_truncated after truncate on {schema}.agno_sessions
    for each statement execute function {schema}.memory_truncated()
-- next
create or replace trigger memory_runs_truncated after truncate on {schema}.agno_runs
    for each statement execute function {schema}.memory_truncated()
-- next
-- A single new run is added to the row of its thread, which is the usual turn. In any other case the threads are
-- counted again from the tables.
create or replace function {schema}.memory_runs_inserted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '50ms' as $$
declare
    ids text[];
    n record;
    f record;
    -- not the row type of a table: if the table is missing, that fails before exceptions are caught
    t record;
    who text;
    joined integer := 0;
begin
    select fresh.*, (select count(*) from fresh) as rows into n from fresh limit 1;
    if not found then
        return null;
    end if;
    ids := array[n.session_id];
    if n.rows > 1 then
        ids := array(select distinct session_id::text from fresh);
        perform {schema}.memory_recount(ids);
        return null;
    end if;
    select * into t from {schema}.memory_thread where session_id = n.session_id for update;
    if not found or (t.column_runs > 0 and exists (
        -- the run is in the column too, and must not be counted twice
        select 1 from {schema}.agno_sessions s
        where s.session_id = n.session_id and s.runs @> jsonb_build_array(jsonb_build_object('run_id', n.run_id))))
    then
        perform {schema}.memory_recount(ids);
        return null;
    end if;

    select * into f from {schema}.memory_run_facts(n.run_data);
    who := coalesce(n.user_id, t.user_id);
    if who is not null then
        update {schema}.memory_participant p set runs = p.runs + 1,
            first_at = case p.runs when 0 then n.created_at else least(p.first_at, n.created_at) end,
            seen_at = case p.runs when 0 then n.created_at else greatest(p.seen_at, n.created_at) end
        where p.session_id = n.session_id and p.user_key = {schema}.memory_user_key(who);
        if not found then
            insert into {schema}.memory_participant
            values (n.session_id, {schema}.memory_user_key(who), who, false, 1, n.created_at, n.created_at, t.last_at);
            t.users := t.users + 1;
        end if;
    end if;
    n.run_index := coalesce(n.run_index, 0);
    if n.parent_run_id is null and (t.first_run_at is null
        or (n.created_at, n.run_index, n.run_id) < (t.first_run_at, t.first_run_index, t.first_run_id))
    then
        t.first_run_at := n.created_at;
        t.first_run_index := n.run_index;
        t.first_run_id := n.run_id;
        t.first_text := {schema}.memory_title(n.run_data);
    end if;
    if n.parent_run_id is null and (t.last_run_at is null
        or (n.created_at, n.run_index, n.run_id) > (t.last_run_at, t.last_run_index, t.last_run_id))
    then
        t.last_run_at := n.created_at;
        t.last_run_index := n.run_index;
        t.last_run_id := n.run_id;
        t.last_status := n.status;
        t.last_text := {schema}.memory_preview(n.run_data);
    end if;
    update {schema}.memory_thread x set runs = t.runs + 1, table_runs = t.table_runs + 1,
        messages = t.messages + f.messages, tool_calls = t.tool_calls + f.tool_calls,
        errors = t.errors + f.tool_errors + coalesce((n.status = 'ERROR')::integer, 0),
        text_bytes = t.text_bytes + f.text_bytes, run_input_tokens = t.run_input_tokens + f.input_tokens,
        run_output_tokens = t.run_output_tokens + f.output_tokens, users = t.users,
        first_run_at = t.first_run_at, first_run_index = t.first_run_index, first_run_id = t.first_run_id,
        first_text = t.first_text, last_run_at = t.last_run_at, last_run_index = t.last_run_index,
        last_run_id = t.last_run_id, last_status = t.last_status, last_text = t.last_text
    where x.session_id = t.session_id;
    return null;
exception when others then
    perform {schema}.memory_mark_dirty(ids, sqlerrm);
    return null;
end $$
-- next
create or replace trigger memory_runs_inserted after insert on {schema}.agno_runs
    referencing new table as fresh for each statement execute function {schema}.memory_runs_inserted()
-- next
create or replace function {schema}.memory_runs_updated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = '50ms' as $$
declare
    ids text[];
    n record;
    d record;
begin
    select fresh.*, (select count(*) from fresh) as rows,
        (fresh.session_id, fresh.created_at, fresh.run_index, fresh.user_id, fresh.parent_run_id)
        is not distinct from (stale.session_id, stale.created_at, stale.run_index, stale.user_id, stale.parent_run_id)
        as same, stale.run_data as old_data, stale.status as old_status
    into n from fresh left join stale on stale.run_id = fresh.run_id limit 1;
    if not found then
        return null;
    end if;
    ids := array[n.session_id];
    if n.rows > 1 or not n.same then
        ids := array(select session_id::text from fresh union select session_id::text from stale);
        perform {schema}.memory_recount(ids);
        return null;
    end if;
    select a.messages - b.messages as messages, a.tool_calls - b.tool_calls as tool_calls,
        a.tool_errors - b.tool_errors + coalesce((n.status = 'ERROR')::integer, 0)
            - coalesce((n.old_status = 'ERROR')::integer, 0) as errors,
        a.text_bytes - b.text_bytes as text_bytes, a.input_tokens - b.input_tokens as input_tokens,
        a.output_tokens - b.output_tokens as output_tokens
    into d from {schema}.memory_run_facts(n.run_data) a, {schema}.memory_run_facts(n.old_data) b;
    update {schema}.memory_thread x set messages = x.messages + d.messages, tool_calls = x.tool_calls + d.tool_calls,
        errors = x.errors + d.errors, text_bytes = x.text_bytes + d.text_bytes,
        run_input_tokens = x.run_input_tokens + d.input_tokens,
        run_output_tokens = x.run_output_tokens + d.output_tokens,
        first_text = case x.first_run_id when n.run_id then {schema}.memory_title(n.run_data) else x.first_text end,
        last_text = case x.last_run_id when n.run_id then {schema}.memory_preview(n.run_data) else x.last_text end,
        last_status = case x.last_run_id when n.run_id then n.status else x.last_status end
    where x.session_id = n.session_id;
    if not found then
        perform {schema}.memory_recount(ids);
    end if;
    return null;
exception when others then
    perform {schema}.memory_mark_dirty(ids, sqlerrm);
    return null;
end $$
-- next
create or replace trigger memory_runs_updated after update on {schema}.agno_runs
    referencing old table as stale new table as fresh
    for each statement execute function {schema}.memory_runs_updated()
-- next
create or replace function {schema}.memory_runs_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '50ms' as $$
declare
    ids text[];
begin
    -- threads that are deleted with their runs need no count: their own trigger drops the row
    ids := array(select s.session_id::text from {schema}.agno_sessions s
                 where s.session_id in (select distinct gone.session_id from gone));
    if cardinality(ids) > 0 then
        perform {schema}.memory_recount(ids);
    end if;
    return null;
exception when others then
    perform {schema}.memory_mark_dirty(ids, sqlerrm);
    return null;
end $$
-- next
create or replace trigger memory_runs_deleted after delete on {schema}.agno_runs
    referencing old table as gone for each statement execute function {schema}.memory_runs_deleted()
-- next
-- A deleted thread must stay deleted. Each deletion leaves a tombstone in the same transaction, and the triggers
-- below drop what a run in flight writes later. This function may raise, because a deletion without its tombstone
-- must not commit.
create or replace function {schema}.memory_bury() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into {schema}.memory_tombstone as x (thread_hash, deleted_at)
    -- joined, so that the key is read once and not for each thread
    select sha256(k.key || sha256(k.key || convert_to(gone.session_id, 'UTF8'))),
        floor(extract(epoch from clock_timestamp()))
    from gone cross join {schema}.memory_tombstone_key k order by 1
    on conflict (thread_hash) do update set deleted_at = greatest(x.deleted_at, excluded.deleted_at);
    return null;
end $$
-- next
create or replace trigger memory_bury after delete on {schema}.agno_sessions
    referencing old table as gone for each statement execute function {schema}.memory_bury()
-- next
-- The lock waits for a deletion that has not committed yet. Without it, an upsert would pass this trigger, find its
-- thread deleted, and insert it.
create or replace function {schema}.memory_refuse_session() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform 1 from {schema}.agno_sessions where session_id = new.session_id for key share;
    if new.created_at <= (select t.deleted_at from {schema}.memory_tombstone t where t.thread_hash = (
        -- the hash of memory_bury
        select sha256(k.key || sha256(k.key || convert_to(new.session_id, 'UTF8')))
        from {schema}.memory_tombstone_key k)) then
        return null;
    end if;
    return new;
end $$
-- next
create or replace trigger memory_refuse_session before insert on {schema}.agno_sessions
    for each row execute function {schema}.memory_refuse_session()
-- next
create or replace function {schema}.memory_refuse_run() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    buried bigint;
begin
    perform 1 from {schema}.agno_sessions where session_id = new.session_id for key share;
    buried := (select t.deleted_at from {schema}.memory_tombstone t where t.thread_hash = (
        -- the hash of memory_bury
        select sha256(k.key || sha256(k.key || convert_to(new.session_id, 'UTF8')))
        from {schema}.memory_tombstone_key k));
    if buried is not null and (new.created_at <= buried
        or not exists (select 1 from {schema}.agno_sessions where session_id = new.session_id)) then
        return null;
    end if;
    return new;
end $$
-- next
create or replace trigger memory_refuse_run before insert on {schema}.agno_runs
    for each row execute function {schema}.memory_refuse_run()
-- next
-- Only the owner may call these functions. A trigger runs without that right.
revoke all on all functions in schema {schema} from public
