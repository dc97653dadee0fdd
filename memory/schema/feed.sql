-- Agents write, and a row of the feed says where, in the same transaction. The functions of triggers run as the
-- studio's role with a fixed search_path.
-- None raises, because an agent's write must not fail, and none waits for a lock for longer than a migration holds it.
--
-- Remember that a write could not be noted: a sequence moves whatever becomes of this transaction. Who has left no room
-- for that, or has made the transaction read only after the write, has to write again.
create or replace function {schema}.memory_miss() returns void language plpgsql as $$
begin
    perform nextval('{schema}.memory_missed');
exception when statement_too_complex or insufficient_resources or read_only_sql_transaction then
    raise;
when others then
    null;
end $$;
-- Note a thread that was written; one that got another id takes its runs along.
create or replace function {schema}.memory_session_written() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
begin
    insert into {schema}.memory_feed (session_id) values (new.session_id);
    if tg_op = 'UPDATE' and new.session_id <> old.session_id then
        insert into {schema}.memory_feed (session_id, whole) values (old.session_id, true), (new.session_id, true);
    end if;
    return null;
exception when others then
    perform {schema}.memory_miss();
    return null;
end $$;
create or replace trigger memory_session_written after insert or update on {schema}.agno_sessions
    for each row execute function {schema}.memory_session_written();
-- Note a run that was written, and where it was before.
create or replace function {schema}.memory_run_written() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
begin
    insert into {schema}.memory_feed (session_id, run_id) values (new.session_id, new.run_id);
    if tg_op = 'UPDATE' and (new.run_id, new.session_id) <> (old.run_id, old.session_id) then
        insert into {schema}.memory_feed (session_id, run_id) values (old.session_id, old.run_id);
    end if;
    return null;
exception when others then
    perform {schema}.memory_miss();
    return null;
end $$;
create or replace trigger memory_run_written after insert or update on {schema}.agno_runs
    for each row execute function {schema}.memory_run_written();
-- Note threads that were deleted. By statement, because a trigger for each row costs three times as much.
create or replace function {schema}.memory_threads_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
begin
    insert into {schema}.memory_feed (session_id, whole) select gone.session_id, true from gone;
    return null;
exception when others then
    perform {schema}.memory_miss();
    return null;
end $$;
create or replace trigger memory_threads_deleted after delete on {schema}.agno_sessions
    referencing old table as gone for each statement execute function {schema}.memory_threads_deleted();
-- Note runs that were deleted, but not those that went with their thread.
create or replace function {schema}.memory_runs_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
begin
    insert into {schema}.memory_feed (session_id, run_id)
    select gone.session_id, gone.run_id from gone join {schema}.agno_sessions s on s.session_id = gone.session_id;
    return null;
exception when others then
    perform {schema}.memory_miss();
    return null;
end $$;
create or replace trigger memory_runs_deleted after delete on {schema}.agno_runs
    referencing old table as gone for each statement execute function {schema}.memory_runs_deleted();
-- Note every thread of the index.
create or replace function {schema}.memory_truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
begin
    insert into {schema}.memory_feed (session_id, whole) select t.session_id, true from {schema}.memory_thread t;
    return null;
exception when others then
    perform {schema}.memory_miss();
    return null;
end $$;
create or replace trigger memory_sessions_truncated after truncate on {schema}.agno_sessions
    for each statement execute function {schema}.memory_truncated();
create or replace trigger memory_runs_truncated after truncate on {schema}.agno_runs
    for each statement execute function {schema}.memory_truncated();
