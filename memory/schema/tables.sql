-- The thread index: one narrow row for each thread, so that a list never reads a transcript.
create table if not exists {schema}.memory_thread (
    session_id text primary key,
    session_type text not null default '',
    user_id text,
    name text,
    first_text text,
    last_text text,
    has_summary boolean not null default false,
    runs integer not null default 0,
    messages integer not null default 0,
    tool_calls integer not null default 0,
    errors integer not null default 0,
    text_bytes bigint not null default 0,
    run_input_tokens bigint not null default 0,
    run_output_tokens bigint not null default 0,
    session_input_tokens bigint,
    session_output_tokens bigint,
    input_tokens bigint not null generated always as (coalesce(session_input_tokens, run_input_tokens)) stored,
    output_tokens bigint not null generated always as (coalesce(session_output_tokens, run_output_tokens)) stored,
    tokens bigint not null generated always as (
        coalesce(session_input_tokens, run_input_tokens) + coalesce(session_output_tokens, run_output_tokens)) stored,
    users integer not null default 0,
    -- the number of rows in agno_runs and of elements in agno_sessions.runs, and whether the elements are in the
    -- transcript's order
    table_runs integer not null default 0,
    column_runs integer not null default 0,
    column_sorted boolean not null default true,
    first_run_at bigint,
    first_run_index bigint,
    first_run_id text,
    last_run_at bigint,
    last_run_index bigint,
    last_run_id text,
    last_status text,
    created_at bigint not null,
    updated_at bigint,
    last_at bigint not null generated always as (coalesce(updated_at, created_at)) stored
)
-- next
create index if not exists memory_thread_last on {schema}.memory_thread (last_at desc, session_id desc)
-- next
create index if not exists memory_thread_created on {schema}.memory_thread (created_at desc, session_id desc)
-- next
create index if not exists memory_thread_runs on {schema}.memory_thread (runs desc, session_id desc)
-- next
create index if not exists memory_thread_tokens on {schema}.memory_thread (tokens desc, session_id desc)
-- next
create index if not exists memory_thread_status on {schema}.memory_thread (last_status, last_at desc, session_id desc)
-- next
create index if not exists memory_thread_errors on {schema}.memory_thread (last_at desc, session_id desc) where errors > 0
-- next
create index if not exists memory_thread_shared on {schema}.memory_thread (last_at desc, session_id desc) where users > 1
-- next
-- The users of a thread: its owner, and everybody with a run in it. user_key is a hash of the id, because an id
-- may be longer than a btree row. last_at repeats the thread's, so that one index pages through a user's threads.
create table if not exists {schema}.memory_participant (
    session_id text not null,
    user_key uuid not null,
    user_id text not null,
    is_owner boolean not null,
    runs integer not null,
    first_at bigint not null,
    seen_at bigint not null,
    last_at bigint not null,
    primary key (session_id, user_key)
)
-- next
create index if not exists memory_participant_user on {schema}.memory_participant (user_key, last_at desc, session_id desc)
-- next
-- Sums over memory_participant, so that a list of users counts nothing.
create table if not exists {schema}.memory_user (
    user_key uuid primary key,
    user_id text not null,
    threads integer not null,
    runs bigint not null,
    first_at bigint not null,
    seen_at bigint not null
)
-- next
create index if not exists memory_user_seen on {schema}.memory_user (seen_at desc, user_key desc)
-- next
create index if not exists memory_user_threads on {schema}.memory_user (threads desc, user_key desc)
-- next
create index if not exists memory_user_runs on {schema}.memory_user (runs desc, user_key desc)
-- next
-- 200 characters, because a whole id may be longer than a btree row
create index if not exists memory_user_prefix on {schema}.memory_user (lower(left(user_id, 200)) text_pattern_ops)
-- next
-- Threads whose index row a trigger could not write; they are counted again later.
create table if not exists {schema}.memory_dirty (
    no bigint generated always as identity primary key,
    session_id text not null,
    at timestamptz not null default clock_timestamp(),
    error text not null default ''
)
-- next
-- Threads that were deleted for good: a keyed hash of the id, which names nobody, and the second of the deletion.
create table if not exists {schema}.memory_tombstone (
    thread_hash bytea primary key,
    deleted_at bigint not null
)
-- next
create table if not exists {schema}.memory_tombstone_key (
    one boolean primary key default true check (one),
    key bytea not null default uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
)
-- next
insert into {schema}.memory_tombstone_key default values on conflict do nothing
