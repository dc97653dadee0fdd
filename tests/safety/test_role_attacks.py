"""An agent's database role: what the handed-out DSN cannot do, which is all but its own rows."""

import contextlib
import re
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors

from tests.safety.roles import Studio, role_of
from tests.server import ServedAgent

FUNCTION = "create function {0} returns trigger language plpgsql as 'begin return new; end'"
ATTACKS = [
    "create table mine (x int)",
    "create table agno_memories (x int)",
    "create table as_copy as select 1",
    "select 1 as x into mine",
    FUNCTION.format("mine()"),
    FUNCTION.format("public.mine()"),
    FUNCTION.format("pg_temp.mine()"),
    "create procedure mine() language sql as 'select 1'",
    "do $$ begin execute 'create table mine (x int)'; end $$",
    "create aggregate mine (int) (sfunc = int4pl, stype = int4)",
    "create operator === (leftarg = int, rightarg = int, function = int4eq)",
    "create view mine as select 1",
    "create materialized view mine as select 1",
    "create view public.mine as select 1",
    "create trigger mine before insert on agno_sessions execute function suppress_redundant_updates_trigger()",
    "create rule mine as on insert to agno_sessions do instead nothing",
    "create policy mine on agno_sessions using (true)",
    "create sequence mine",
    "create type mine as (x int)",
    "create domain mine as int",
    'create collation mine from "C"',
    "create text search configuration mine (copy = simple)",
    "create schema mine",
    "create schema authorization current_user",
    "create temp table mine (x int)",
    "create temp view mine as select 1",
    "create unlogged table mine (x int)",
    "create extension plpython3u",
    "create extension pg_stat_statements",
    "create extension hstore",
    "create language plperlu",
    "create foreign data wrapper mine",
    "create server mine foreign data wrapper mine",
    "create event trigger mine on ddl_command_start execute function now()",
    "create role mine",
    "create user mine superuser",
    "create database mine",
    "create tablespace mine location '/tmp'",
    "create publication mine for table agno_sessions",
    "create subscription mine connection 'host=127.0.0.1' publication mine",
    "create index mine on agno_sessions (user_id)",
    "create statistics mine on user_id, agent_id from agno_sessions",
    "alter table agno_sessions add column mine text",
    "alter table agno_sessions disable trigger all",
    "alter table agno_sessions owner to current_user",
    "alter table agno_sessions enable row level security",
    "alter table agno_sessions set schema public",
    "alter schema {schema} rename to mine",
    "alter schema {schema} owner to current_user",
    "alter function memory_fold(integer, boolean) owner to current_user",
    "alter role current_user superuser",
    "alter role current_user createrole createdb",
    "alter role current_user connection limit -1",
    "alter role current_user bypassrls",
    "alter role {other_role} password 'x'",
    "alter role studio password 'x'",
    "alter role postgres password 'x'",
    "alter role all set search_path = {schema}",
    "alter database {database} owner to current_user",
    "alter database {database} set search_path = {schema}",
    "alter default privileges for role studio grant all on tables to public",
    "alter system set log_statement = 'all'",
    "comment on table agno_sessions is 'mine'",
    "reindex table agno_sessions",
    "cluster agno_sessions using agno_sessions_pkey",
    "truncate agno_sessions",
    "truncate agno_sessions cascade",
    "truncate agno_runs",
    "drop table agno_runs",
    "drop trigger memory_bury on agno_sessions",
    "drop function memory_fold(integer, boolean)",
    "drop index idx_agno_sessions_created_at",
    "drop schema {schema} cascade",
    "drop role {other_role}",
    "drop owned by studio",
    "reassign owned by studio to current_user",
    "grant studio to current_user",
    "grant {other_role} to current_user",
    "grant pg_read_all_data to current_user",
    "grant pg_execute_server_program to current_user",
    "set role studio",
    "set role postgres",
    "set role {other_role}",
    "set role pg_read_all_data",
    "set session authorization studio",
    "set session_replication_role = replica",
    "set log_statement = 'none'",
    "set lo_compat_privileges = on",
    "select * from {other}.agno_sessions",
    "select * from {other}.memory_thread",
    "insert into {other}.agno_sessions (session_id, session_type, created_at) values ('x', 'agent', 1)",
    "update {other}.agno_sessions set user_id = 'x'",
    "delete from {other}.agno_sessions",
    "do $$ begin lock table {other}.agno_sessions; end $$",
    "do $$ begin lock table public.studio_auditevent in access share mode; end $$",
    "do $$ begin lock table public.studio_turn in access share mode; end $$",
    "select * from memory_thread",
    "select * from memory_tombstone",
    "select * from memory_tombstone_key",
    "select from memory_turn for update",
    "do $$ begin lock table memory_turn; end $$",
    "select memory_check_unseen('x')",
    "delete from memory_tombstone",
    "insert into memory_feed (session_id) values ('x')",
    "select * from memory_feed",
    "delete from memory_feed",
    "select nextval('memory_missed')",
    "insert into memory_backlog (session_id) values ('x')",
    "update memory_run set messages = 0",
    "update memory_user set threads = 0",
    "select memory_key('x')",
    "select memory_fold(1, false)",
    "select memory_miss()",
    "select memory_recount(null)",
    "select * from public.studio_agent",
    "select * from public.studio_apikey",
    "select * from public.studio_databaserole",
    "select * from public.studio_user",
    "select * from public.studio_auditevent",
    "select * from public.django_session",
    "insert into public.studio_auditevent (action) values ('x')",
    "select * from public.studio_keyrate",
    "select * from pg_authid",
    "select * from pg_shadow",
    "select * from pg_largeobject",
    "select * from pg_statistic",
    "select * from pg_user_mapping",
    "select * from pg_hba_file_rules",
    "select * from pg_file_settings",
    "select passwd from pg_catalog.pg_shadow",
    "copy agno_sessions to program 'id'",
    "copy agno_sessions from program 'id'",
    "copy agno_sessions to '/tmp/mine'",
    "copy agno_sessions from '/etc/passwd'",
    "copy public.studio_apikey to stdout",
    "select pg_read_file('/etc/passwd')",
    "select pg_read_binary_file('postgresql.conf')",
    "select pg_ls_dir('/')",
    "select pg_stat_file('/etc/passwd')",
    "select pg_ls_logdir()",
    "select pg_current_logfile()",
    "select lo_import('/etc/passwd')",
    "select lo_export(1, '/tmp/mine')",
    "select lo_create(0)",
    "select lo_creat(-1)",
    "select lo_from_bytea(0, 'x')",
    "select lo_put(1, 0, 'x')",
    "select pg_advisory_lock(1)",
    "select pg_advisory_lock(1, 2)",
    "select pg_advisory_lock_shared(1)",
    "select pg_advisory_xact_lock_shared(1, 2)",
    "select pg_try_advisory_lock(1)",
    "select pg_try_advisory_lock_shared(1, 2)",
    "select pg_try_advisory_xact_lock(1, 2)",
    "select pg_try_advisory_xact_lock_shared(1)",
    "select pg_advisory_unlock_all()",
    "select pg_export_snapshot()",
    "select pg_notify('x', repeat('x', 7000))",
    "select pg_logical_emit_message(false, 'x', repeat('x', 1000000))",
    "select pg_reload_conf()",
    "select pg_rotate_logfile()",
    "select pg_switch_wal()",
    "select pg_create_restore_point('x')",
    "select pg_create_physical_replication_slot('x')",
    "select pg_create_logical_replication_slot('x', 'pgoutput')",
    "select pg_drop_replication_slot('x')",
    "select pg_stat_reset()",
    "select pg_promote()",
    "select pg_backup_start('x')",
    "select set_config('log_min_messages', 'debug5', false)",
    "load 'plpgsql'",
    "checkpoint",
]
# some of these name what is not installed; what counts is that nothing happens
HARMLESS = (
    errors.InsufficientPrivilege,
    errors.UndefinedObject,
    errors.FeatureNotSupported,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)


def attempt(session: psycopg.Connection, statement: str) -> None:
    with session.cursor() as cursor:
        if statement.startswith("copy") and statement.endswith("stdout"):
            with cursor.copy(statement) as copy:
                list(copy)
        else:
            cursor.execute(statement)


class TestAttacks:
    @pytest.mark.parametrize("attack", ATTACKS)
    def test_it_is_refused(
        self, session: psycopg.Connection, agent: ServedAgent, other: ServedAgent, attack: str
    ) -> None:
        names = {
            "schema": agent.schema,
            "other": other.schema,
            "other_role": role_of(other),
            "database": urlsplit(agent.dsn).path.lstrip("/"),
        }
        # no parameters: % and {} in a statement are its own
        statement = re.sub(r"\{(schema|other|other_role|database)\}", lambda found: names[found[1]], attack)
        with pytest.raises(HARMLESS):
            attempt(session, statement)

    @pytest.mark.parametrize(
        "grant",
        [
            "select on agno_sessions to public",
            "all on all tables in schema {schema} to public",
            "usage on schema {schema} to {other_role}",
            "connect on database {database} to public",
        ],
    )
    def test_it_passes_none_of_its_rights_on(
        self, session: psycopg.Connection, agent: ServedAgent, other: ServedAgent, grant: str
    ) -> None:
        """Postgres answers a grant without the grant option with a warning; what counts is that nothing changes."""
        rights = (
            "select array_agg(relacl::text order by oid),"
            " (select array_agg(nspacl::text order by oid) from pg_namespace),"
            " (select datacl::text from pg_database where datname = current_database()) from pg_class"
        )
        before = session.execute(rights).fetchone()
        database = urlsplit(agent.dsn).path.lstrip("/")
        with contextlib.suppress(errors.InsufficientPrivilege):
            session.execute("grant " + grant.format(schema=agent.schema, other_role=role_of(other), database=database))
        assert session.execute(rights).fetchone() == before

    def test_what_may_be_set_for_oneself_changes_nothing_for_others(
        self, session: psycopg.Connection, agent: ServedAgent, other: ServedAgent
    ) -> None:
        session.execute(f"set search_path = {other.schema}, public, pg_catalog")
        with pytest.raises(errors.UndefinedTable):
            session.execute("select * from agno_sessions")

    def test_nothing_that_it_sets_keeps_its_role_once_it_is_removed(self, other: ServedAgent, studio: Studio) -> None:
        agent = studio.create("sticky")
        with psycopg.connect(agent.dsn, autocommit=True) as session:
            session.execute("alter default privileges grant select on tables to public")
            session.execute(f"alter default privileges in schema {other.schema} grant usage on types to public")
        studio.remove(agent)
        assert studio.sql("select rolname from pg_roles where rolname = %s", role_of(agent)) == []
        assert studio.sql("select 1 from pg_default_acl") == []

    def test_it_ends_nobody_elses_session(self, session: psycopg.Connection, studio: Studio) -> None:
        with psycopg.connect(studio.server.dsn) as studio:
            victim = studio.info.backend_pid
            for function in ("pg_terminate_backend", "pg_cancel_backend"):
                with pytest.raises(errors.InsufficientPrivilege):
                    session.execute(f"select {function}(%s)", [victim])
            assert studio.execute("select 1").fetchone() == (1,)

    def test_it_reads_nobody_elses_queries(self, session: psycopg.Connection, studio: Studio) -> None:
        with psycopg.connect(studio.server.dsn) as studio:
            studio.execute("select 'canary in a query'")
            seen = session.execute("select query from pg_stat_activity where usename = 'studio'").fetchall()
        assert seen
        assert {query for (query,) in seen} == {"<insufficient privilege>"}

    def test_it_connects_to_no_other_database(self, agent: ServedAgent) -> None:
        for name in ("postgres", "template1"):
            place = agent.dsn.rpartition("/")[0]
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(f"{place}/{name}")

    def test_it_does_not_log_in_without_its_password(self, agent: ServedAgent) -> None:
        parts = urlsplit(agent.dsn)
        for password in ("", "x", parts.username):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(agent.dsn.replace(parts.password or "", password or ""), connect_timeout=5)
