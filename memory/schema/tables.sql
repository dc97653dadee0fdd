-- The thread index: one narrow row for each thread, so that a list never reads a transcript.
create table if not exists {schema}.memory_thread (
    session_id text primary key, session_type text not null default '', user_id text,
    name text, first_text text, last_text text, has_summary boolean not null default false,
    -- what is searched: ids and name, and the two texts
    names_folded text, texts_folded text,
    runs integer not null default 0, messages integer not null default 0, tool_calls integer not null default 0,
    errors integer not null default 0, text_bytes bigint not null default 0, users integer not null default 0,
    run_input_tokens bigint not null default 0, run_output_tokens bigint not null default 0,
    session_input_tokens bigint, session_output_tokens bigint,
    input_tokens bigint not null generated always as (coalesce(session_input_tokens, run_input_tokens)) stored,
    output_tokens bigint not null generated always as (coalesce(session_output_tokens, run_output_tokens)) stored,
    tokens bigint not null generated always as (
        coalesce(session_input_tokens, run_input_tokens) + coalesce(session_output_tokens, run_output_tokens)) stored,
    -- the rows of agno_runs, the elements of agno_sessions.runs, and whether Agno reads them in another order
    table_runs integer not null default 0, column_runs integer not null default 0,
    reordered boolean not null default false,
    -- keys of memory_run, of the runs that the two texts are from
    first_run uuid, last_run uuid, last_status text,
    created_at bigint not null, updated_at bigint,
    last_at bigint not null generated always as (coalesce(updated_at, created_at)) stored
);
alter table {schema}.memory_thread add column if not exists first_run uuid, add column if not exists last_run uuid,
    add column if not exists reordered boolean not null default false,
    add column if not exists names_folded text, add column if not exists texts_folded text;
-- A list gives an id of more than 4 KB as its key, by which the thread is found again.
create or replace function {schema}.memory_digest(t text) returns uuid language sql immutable parallel safe as $$
    select encode(substr(sha256(convert_to(t, 'UTF8')), 1, 16), 'hex')::uuid
$$;
create index if not exists memory_thread_long on {schema}.memory_thread ({schema}.memory_digest(session_id))
    where octet_length(session_id) > 4096 or starts_with(session_id, '~.');
create index if not exists memory_thread_last on {schema}.memory_thread (last_at desc, session_id desc);
create index if not exists memory_thread_created on {schema}.memory_thread (created_at desc, session_id desc);
create index if not exists memory_thread_runs on {schema}.memory_thread (runs desc, session_id desc);
create index if not exists memory_thread_tokens on {schema}.memory_thread (tokens desc, session_id desc);
create index if not exists memory_thread_status on {schema}.memory_thread (last_status, last_at desc, session_id desc);
create index if not exists memory_thread_errors on {schema}.memory_thread (last_at desc, session_id desc)
    where errors > 0;
create index if not exists memory_thread_shared on {schema}.memory_thread (last_at desc, session_id desc)
    where users > 1;
-- The facts of one run, from which its thread is summed. `key` is a hash of the id of a row of agno_runs, or the
-- position of an element of agno_sessions.runs. `place` counts the runs of a thread in the order in which a person
-- reads them; it is negative for an element that a row stands in for. `at` and `user_id` are null where those of the
-- thread count. `inside` has the counts of the runs in it. An element with the fingerprint that it had is not counted
-- again.
create table if not exists {schema}.memory_run (
    session_id text not null, key uuid not null, place integer, position integer, run_id text not null,
    run_index bigint, at bigint, user_id text, status text, is_root boolean not null,
    messages integer not null, tool_calls integer not null, tool_errors integer not null, text_bytes bigint not null,
    input_tokens bigint not null, output_tokens bigint not null, inside jsonb, fingerprint bigint
);
alter table {schema}.memory_run add column if not exists place integer, add column if not exists inside jsonb;
create unique index if not exists memory_run_place on {schema}.memory_run (session_id, place);
alter table {schema}.memory_run alter column run_index drop not null, drop constraint if exists memory_run_pkey,
    replica identity full;
-- What agents wrote and nobody has counted yet: only ever added to, without an index, so that an agent waits for
-- nobody. `whole` asks to count all runs of the thread, else only the named one, and the elements that changed.
-- Its end is never cut off, because that would lock out agents. The identity is for Citus, which moves tables.
create table if not exists {schema}.memory_feed (
    session_id text not null, run_id text, whole boolean not null default false, at timestamptz not null default now()
) with (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
alter table {schema}.memory_feed replica identity full;
-- Moves if an agent's write could not be noted in the feed. Then every thread is counted again, and the second follows.
create sequence if not exists {schema}.memory_missed;
create sequence if not exists {schema}.memory_missed_counted;
-- Whoever folds locks its row: an advisory lock could be taken by an agent, too.
create table if not exists {schema}.memory_turn (one boolean primary key default true check (one));
insert into {schema}.memory_turn default values on conflict do nothing;
-- Threads that are counted when there is time, all their runs, the newest first: those that were there before the index
-- was, and those that could not be counted, with the error.
create table if not exists {schema}.memory_backlog (
    session_id text primary key, last_at bigint not null default 0, error text not null default '',
    at timestamptz not null default clock_timestamp()
);
create index if not exists memory_backlog_last on {schema}.memory_backlog (last_at desc);
-- The users of a thread: its owner, and everybody with a run in it. user_key is a hash of the id, because an id
-- may be longer than a btree row. last_at repeats the thread's, so that one index pages through a user's threads.
create table if not exists {schema}.memory_participant (
    session_id text not null, user_key uuid not null, user_id text not null, is_owner boolean not null,
    runs integer not null, first_at bigint not null, seen_at bigint not null, last_at bigint not null,
    primary key (session_id, user_key)
);
create index if not exists memory_participant_user on {schema}.memory_participant
    (user_key, last_at desc, session_id desc);
-- Sums over memory_participant, so that a list of users counts nothing.
create table if not exists {schema}.memory_user (
    user_key uuid primary key, user_id text not null, threads integer not null, runs bigint not null,
    first_at bigint not null, seen_at bigint not null
);
create index if not exists memory_user_seen on {schema}.memory_user (seen_at desc, user_key desc);
create index if not exists memory_user_threads on {schema}.memory_user (threads desc, user_key desc);
create index if not exists memory_user_runs on {schema}.memory_user (runs desc, user_key desc);
-- A text as it is searched: without what is written in several ways, such as accents, case and width, and without what
-- is not seen, such as soft hyphens. Of the accents only those of European letters go, because others make another
-- letter.
create or replace function {schema}.memory_folded(t text) returns text language sql immutable parallel safe as $$
    select btrim(regexp_replace(translate(replace(lower(normalize(regexp_replace(
        normalize(t, NFKD), '[\u0300-\u036f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]', '', 'g'
        ), NFC)), 'ß', 'ss'), 'ςı', 'σi'), '\s+', ' ', 'g'))
$$;
-- 200 characters, because a whole id may be longer than a btree row
create index if not exists memory_user_folded on {schema}.memory_user
    ({schema}.memory_folded(left(user_id, 200)) text_pattern_ops);
-- Threads that were deleted for good: a keyed hash of the id, which names nobody, the second of the deletion, and the
-- microsecond in which the thread was created, by its agent's clock; null for what was deleted before that was kept.
create table if not exists {schema}.memory_tombstone (
    thread_hash bytea primary key, deleted_at bigint not null, created_at bigint
);
alter table {schema}.memory_tombstone add column if not exists created_at bigint;
create table if not exists {schema}.memory_tombstone_key (
    one boolean primary key default true check (one),
    key bytea not null default uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
);
insert into {schema}.memory_tombstone_key default values on conflict do nothing;
