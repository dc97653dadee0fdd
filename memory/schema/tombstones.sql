-- A deleted thread must stay deleted. Each deletion leaves a tombstone in the same transaction, and the triggers
-- below drop what a run in flight writes later.
--
-- The second in which a thread was deleted, null if it never was. The key is read once and not for each thread.
create or replace function {schema}.memory_hash(session_id text, key bytea) returns bytea
language sql immutable parallel safe as $$
    select sha256(key || sha256(key || convert_to(session_id, 'UTF8')))
$$;
create or replace function {schema}.memory_buried(id text) returns bigint
language sql stable as $$
    select t.deleted_at from {schema}.memory_tombstone t
    where t.thread_hash = (select {schema}.memory_hash(id, k.key) from {schema}.memory_tombstone_key k)
$$;
-- Leave tombstones. It may raise, because a deletion without its tombstone must not commit.
create or replace function {schema}.memory_bury() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into {schema}.memory_tombstone as x (thread_hash, deleted_at)
    select {schema}.memory_hash(gone.session_id, k.key), floor(extract(epoch from clock_timestamp()))
    from gone cross join {schema}.memory_tombstone_key k order by 1
    on conflict (thread_hash) do update set deleted_at = greatest(x.deleted_at, excluded.deleted_at);
    perform {schema}.memory_note(array_agg(gone.session_id), null, true) from gone;
    return null;
end $$;
create or replace trigger memory_bury after delete on {schema}.agno_sessions
    referencing old table as gone for each statement execute function {schema}.memory_bury();
-- Drop a thread that is no younger than its deletion. The lock waits for a deletion that has not committed yet:
-- without it, an upsert would pass this trigger, find its thread deleted, and insert it. What is no older than the
-- thread that is there is not from before its deletion, and needs no hash.
create or replace function {schema}.memory_refuse_session() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform 1 from {schema}.agno_sessions
    where session_id = new.session_id and created_at <= new.created_at for key share;
    if not found then
        perform 1 from {schema}.agno_sessions where session_id = new.session_id for key share;
        if new.created_at <= {schema}.memory_buried(new.session_id) then
            return null;
        end if;
    end if;
    return new;
end $$;
create or replace trigger memory_refuse_session before insert on {schema}.agno_sessions
    for each row execute function {schema}.memory_refuse_session();
-- Drop a run of a thread that was deleted, or from before its thread was deleted and begun anew.
create or replace function {schema}.memory_refuse_run() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    buried bigint;
begin
    perform 1 from {schema}.agno_sessions
    where session_id = new.session_id and created_at <= new.created_at for key share;
    if not found then
        perform 1 from {schema}.agno_sessions where session_id = new.session_id for key share;
        buried := {schema}.memory_buried(new.session_id);
        if buried is not null and (not found or new.created_at <= buried) then
            return null;
        end if;
    end if;
    return new;
end $$;
create or replace trigger memory_refuse_run before insert on {schema}.agno_runs
    for each row execute function {schema}.memory_refuse_run();
-- Only the owner may call these functions. A trigger runs without that right.
revoke all on all functions in schema {schema} from public;
