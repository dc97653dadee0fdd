-- A deleted thread must stay deleted. Each deletion leaves a tombstone in the same transaction, and a trigger drops
-- what a run in flight writes later.
--
-- The hash of a thread's id.
create or replace function {schema}.memory_hash(key bytea, id text) returns bytea language sql stable as $$
    select sha256(key || sha256(key || convert_to(id, 'UTF8')))
$$;
-- When the last thread of this id that was deleted had been created, in microseconds, null if none was. The key is
-- joined, so that it is read once.
create or replace function {schema}.memory_buried(id text) returns bigint language sql stable as $$
    select coalesce(t.created_at, t.deleted_at * 1000000 + 999999) from {schema}.memory_tombstone_key k
    join {schema}.memory_tombstone t on t.thread_hash = {schema}.memory_hash(k.key, id)
$$;
-- Leave tombstones. It may raise, because a deletion without its tombstone must not commit.
create or replace function {schema}.memory_bury() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into {schema}.memory_tombstone as x (thread_hash, deleted_at, created_at)
    select {schema}.memory_hash(k.key, gone.session_id), floor(extract(epoch from clock_timestamp())),
        coalesce({schema}.memory_micros(gone.created_at), 0)
    from gone cross join {schema}.memory_tombstone_key k order by 1
    on conflict (thread_hash) do update set deleted_at = greatest(x.deleted_at, excluded.deleted_at),
        created_at = greatest(x.created_at, excluded.created_at);
    return null;
end $$;
create or replace trigger memory_bury after delete on {schema}.agno_sessions
    referencing old table as gone for each statement execute function {schema}.memory_bury();
-- Fail if a tombstone is there that this transaction's snapshot cannot show, as such a transaction does when it meets a
-- row that was changed meanwhile: a unique index knows of rows that cannot be seen.
create or replace function {schema}.memory_check_unseen(id text) returns void language plpgsql as $$
declare
    hash bytea := (select {schema}.memory_hash(key, id) from {schema}.memory_tombstone_key);
begin
    insert into {schema}.memory_tombstone (thread_hash, deleted_at) values (hash, -1) on conflict do nothing;
    delete from {schema}.memory_tombstone where thread_hash = hash and deleted_at = -1;
end $$;
-- Drop what a run in flight writes of a deleted thread. Only times of the agent's own clock are compared: what a
-- deleted thread writes late was created when it was; a new talk under its id was created later, and so were its runs.
-- What is newer than the thread that is there needs no hash. The lock waits for a deletion that has not committed
-- yet: without it, an upsert would pass this trigger, find its thread deleted, and insert it.
create or replace function {schema}.memory_refuse() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
    second constant bigint := 1000000;
    at bigint := coalesce({schema}.memory_micros(new.created_at), 0);
    began bigint;
    buried bigint;
    run_second bigint;
begin
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        perform {schema}.memory_check_unseen(new.session_id);
    end if;
    select coalesce({schema}.memory_micros(created_at), 0) into began
    from {schema}.agno_sessions where session_id = new.session_id for key share;
    if tg_table_name = 'agno_sessions' then
        if began <= at then
            return new;
        end if;
        buried := {schema}.memory_buried(new.session_id);
        return case when buried is null or at > buried then new end;
    end if;
    if began / second < at / second or {schema}.memory_buried(new.session_id) is null then
        return new;
    end if;
    -- some versions of Agno store a wrong time with a run, but none with its messages
    run_second := {schema}.memory_began(new.run_data, at / second);
    if run_second is distinct from began / second then
        return case when run_second > began / second then new end;
    elsif run_second = at / second and at % second > 0 and began % second > 0 then
        return case when at >= began then new end;
    end if;
    -- the second in which the new talk began, by clocks that count no less: a run of the deleted thread counts on from
    -- runs that are gone
    perform from {schema}.agno_runs where session_id = new.session_id and run_index = new.run_index - 1;
    return case when found or coalesce(new.run_index, 0) = 0 then new end;
end $$;
create or replace trigger memory_refuse_session before insert on {schema}.agno_sessions
    for each row execute function {schema}.memory_refuse();
create or replace trigger memory_refuse_run before insert on {schema}.agno_runs
    for each row execute function {schema}.memory_refuse();
-- One that gets the id of a deleted thread, too.
create or replace trigger memory_refuse_session_renamed before update on {schema}.agno_sessions
    for each row when (old.session_id <> new.session_id) execute function {schema}.memory_refuse();
create or replace trigger memory_refuse_run_moved before update on {schema}.agno_runs
    for each row when (old.session_id <> new.session_id) execute function {schema}.memory_refuse();
