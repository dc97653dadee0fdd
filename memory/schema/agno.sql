-- Agno's three tables as agno 2.5.14 and 3.1.10 make them, in one layout that serves both: agno_sessions has
-- the column runs of 2.5 beside the table agno_runs of 3.1. "if not exists" everywhere, so that a schema which
-- Agno made itself is completed and loses nothing.
create table if not exists {schema}.agno_sessions (
    session_id varchar not null, session_type varchar not null,
    agent_id varchar, team_id varchar, workflow_id varchar, user_id varchar,
    session_data jsonb, agent_data jsonb, team_data jsonb, workflow_data jsonb, metadata jsonb,
    runs jsonb, summary jsonb, created_at bigint not null, updated_at bigint,
    constraint agno_sessions_pkey primary key (session_id)
);
alter table {schema}.agno_sessions add column if not exists runs jsonb;
-- Agno before 2.5 made a unique constraint and no key. The foreign key below must not depend on that constraint,
-- because Agno's migration drops it.
create unique index if not exists agno_sessions_pkey on {schema}.agno_sessions (session_id);
do $$ begin
    if not exists (select from pg_constraint where conrelid = '{schema}.agno_sessions'::regclass and contype = 'p') then
        alter table {schema}.agno_sessions add constraint agno_sessions_pkey primary key using index agno_sessions_pkey;
    end if;
end $$;
create index if not exists idx_agno_sessions_created_at on {schema}.agno_sessions (created_at);
create index if not exists idx_agno_sessions_session_type on {schema}.agno_sessions (session_type);
create table if not exists {schema}.agno_runs (
    run_id varchar not null, session_id varchar not null, run_type varchar not null,
    agent_id varchar, team_id varchar, workflow_id varchar, user_id varchar, parent_run_id varchar, status varchar,
    run_index bigint, run_data jsonb not null, created_at bigint not null, updated_at bigint,
    constraint agno_runs_pkey primary key (run_id),
    constraint agno_runs_session_id_fkey foreign key (session_id)
        references {schema}.agno_sessions on delete cascade
);
create index if not exists idx_agno_runs_agent_id on {schema}.agno_runs (agent_id);
create index if not exists idx_agno_runs_created_at on {schema}.agno_runs (created_at);
create index if not exists idx_agno_runs_run_type on {schema}.agno_runs (run_type);
create index if not exists idx_agno_runs_session_id on {schema}.agno_runs (session_id);
create index if not exists idx_agno_runs_session_id_run_index on {schema}.agno_runs (session_id, run_index);
create index if not exists idx_agno_runs_status on {schema}.agno_runs (status);
create index if not exists idx_agno_runs_team_id on {schema}.agno_runs (team_id);
create index if not exists idx_agno_runs_user_id on {schema}.agno_runs (user_id);
create index if not exists idx_agno_runs_workflow_id on {schema}.agno_runs (workflow_id);
create table if not exists {schema}.agno_schema_versions (
    table_name varchar not null, version varchar not null, created_at varchar not null, updated_at varchar,
    constraint agno_schema_versions_pkey primary key (table_name)
);
create index if not exists idx_agno_schema_versions_created_at on {schema}.agno_schema_versions (created_at);
-- lz4 reads and writes long transcripts several times faster. A server that was built without it keeps pglz.
do $$ begin
    alter table {schema}.agno_sessions alter column runs set compression lz4;
    alter table {schema}.agno_runs alter column run_data set compression lz4;
exception when others then null;
end $$;
-- The studio's own: Agno sorts its session lists by this expression and has no index for it.
create index if not exists memory_agno_sessions_recent on {schema}.agno_sessions
    ((coalesce(updated_at, created_at)) desc);
-- The studio's own: Agno lists the sessions of one user. A hash index, because a btree row cannot hold a long id.
create index if not exists memory_agno_sessions_user on {schema}.agno_sessions using hash (user_id);
