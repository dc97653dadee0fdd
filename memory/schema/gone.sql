-- What earlier versions had: counting inside an agent's transaction, and runs in the order of their stored times.
drop trigger if exists memory_session_inserted on {schema}.agno_sessions;
drop trigger if exists memory_session_runs on {schema}.agno_sessions;
drop trigger if exists memory_session_updated on {schema}.agno_sessions;
drop trigger if exists memory_sessions_deleted on {schema}.agno_sessions;
drop trigger if exists memory_runs_inserted on {schema}.agno_runs;
drop trigger if exists memory_runs_updated on {schema}.agno_runs;
drop trigger if exists memory_users_added on {schema}.memory_participant;
drop trigger if exists memory_users_changed on {schema}.memory_participant;
drop trigger if exists memory_users_removed on {schema}.memory_participant;
drop function if exists {schema}.memory_users_added, {schema}.memory_users_changed, {schema}.memory_users_removed,
    {schema}.memory_users_extremes, {schema}.memory_session_runs, {schema}.memory_session_fields,
    {schema}.memory_sessions_deleted, {schema}.memory_runs_inserted, {schema}.memory_runs_updated,
    {schema}.memory_write, {schema}.memory_put, {schema}.memory_forget, {schema}.memory_recount(text[]),
    {schema}.memory_mark_dirty, {schema}.memory_mend, {schema}.memory_users_recount, {schema}.memory_session_facts,
    {schema}.memory_user_key, {schema}.memory_refuse_session, {schema}.memory_refuse_run;
drop table if exists {schema}.memory_dirty;
alter table {schema}.memory_thread drop column if exists first_run_at, drop column if exists first_run_index,
    drop column if exists first_run_id, drop column if exists last_run_at, drop column if exists last_run_index,
    drop column if exists last_run_id, drop column if exists column_sorted;
drop function if exists {schema}.memory_stored(text, uuid), {schema}.memory_run_facts(jsonb);
drop index if exists {schema}.memory_agno_runs_order, {schema}.memory_user_prefix;
