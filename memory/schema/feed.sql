-- Agents write, and a row of the feed says where, in the same transaction. The functions of triggers run as the
-- studio's role with a fixed search_path.
--
-- Note that runs of threads were written. Never raises, because an agent's write must not fail. If the feed cannot be
-- written, a sequence remembers that, whatever becomes of this transaction. It waits longer for a lock than a migration,
-- behind which it may wait.
create or replace function {schema}.memory_note(ids text[], runs text[], whole boolean) returns void
language plpgsql set lock_timeout = '100ms' as $$
begin
    insert into {schema}.memory_feed (session_id, run_id, whole)
    select id, run, whole from unnest(ids, runs) w (id, run);
exception when others then
    begin
        perform nextval('{schema}.memory_missed');
    exception when others then
        null;
    end;
end $$;
-- Note a thread that was written; one that got another id takes its runs along.
create or replace function {schema}.memory_session_written() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'UPDATE' and new.session_id <> old.session_id then
        perform {schema}.memory_note(array[old.session_id, new.session_id], null, true);
    else
        perform {schema}.memory_note(array[new.session_id], null, false);
    end if;
    return null;
end $$;
create or replace trigger memory_session_written after insert or update on {schema}.agno_sessions
    for each row execute function {schema}.memory_session_written();
-- Note a run that was written, and where it was before.
create or replace function {schema}.memory_run_written() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'UPDATE' and (new.run_id, new.session_id) <> (old.run_id, old.session_id) then
        perform {schema}.memory_note(array[old.session_id], array[old.run_id], false);
    end if;
    perform {schema}.memory_note(array[new.session_id], array[new.run_id], false);
    return null;
end $$;
create or replace trigger memory_run_written after insert or update on {schema}.agno_runs
    for each row execute function {schema}.memory_run_written();
-- Deletions are noted by statement, because a trigger for each row costs several times as much. Runs that go with
-- their thread need no note: the thread has one.
create or replace function {schema}.memory_runs_deleted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform {schema}.memory_note(array_agg(gone.session_id), array_agg(gone.run_id), false)
    from gone join {schema}.agno_sessions s on s.session_id = gone.session_id;
    return null;
end $$;
create or replace trigger memory_runs_deleted after delete on {schema}.agno_runs
    referencing old table as gone for each statement execute function {schema}.memory_runs_deleted();
-- Note every thread of the index.
create or replace function {schema}.memory_truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform {schema}.memory_note(array_agg(t.session_id), null, true) from {schema}.memory_thread t;
    return null;
end $$;
create or replace trigger memory_sessions_truncated after truncate on {schema}.agno_sessions
    for each statement execute function {schema}.memory_truncated();
create or replace trigger memory_runs_truncated after truncate on {schema}.agno_runs
    for each statement execute function {schema}.memory_truncated();
