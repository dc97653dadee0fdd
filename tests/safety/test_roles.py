"""An agent's database role: what the handed-out DSN can do, which is its own rows, and nothing else."""

import concurrent.futures
import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier

from studio.ids import schema_name
from tests.markup import Page
from tests.server import ROOT, ServedAgent, StudioServer

TABLES = {"agno_sessions", "agno_runs", "agno_schema_versions"}
NOW = int(time.time())


@dataclass
class Studio:
    """The running studio as an admin and a program with a key use it; faster than manage.py."""

    server: StudioServer
    browser: httpx.Client
    api: httpx.Client

    def create(self, agent_id: str, **fields: str) -> ServedAgent:
        answer = self.api.post("/agents", json={"id": agent_id, "name": agent_id, **fields})
        assert answer.status_code == 201, answer.text
        dsn = self.dsn(agent_id) if answer.json()["framework"] == "agno" else ""
        return ServedAgent(agent_id, schema_name(agent_id), dsn)

    def dsn(self, agent_id: str) -> str:
        return str(self.api.get(f"/agents/{agent_id}/db").json()["connection_uri"]["uri"])

    def rotate(self, agent: ServedAgent) -> None:
        page = self.browser.get(f"/agents/{agent.id}/connection/password/")
        form = next(form for form in Page(page.text).forms if form.method == "post" and not form.action)
        assert "was changed" in form.send(self.browser, page).text

    def edit(self, agent: ServedAgent, **values: str) -> None:
        page = self.browser.get(f"/agents/{agent.id}/edit/")
        form = next(form for form in Page(page.text).forms if "model_name" in form.fields)
        assert "Saved." in form.send(self.browser, page, **values).text

    def remove(self, agent: ServedAgent) -> None:
        assert self.api.delete(f"/agents/{agent.id}").status_code == 204

    def sql(self, query: str, *parameters: Any, schema: str = "public") -> list[tuple[Any, ...]]:
        return self.server.sql(query, *parameters, schema=schema)


@pytest.fixture(scope="module")
def studio(studio_server: StudioServer) -> Iterator[Studio]:
    key = studio_server.manage("api_key", "create", "--name", "roles", "--scope", "admin").splitlines()[-1]
    with httpx.Client(base_url=f"{studio_server.url}/api", headers={"x-api-key": key}, timeout=60) as api:
        yield Studio(studio_server, studio_server.client(), api)


@pytest.fixture(scope="module")
def agent(studio: Studio) -> ServedAgent:
    return studio.create("role-one")


@pytest.fixture(scope="module")
def other(studio: Studio) -> ServedAgent:
    """Another agent, with a thread."""
    other = studio.create("role-two")
    with psycopg.connect(other.dsn, autocommit=True) as connection:
        insert_thread(connection, "secret")
    return other


@pytest.fixture
def session(agent: ServedAgent) -> Iterator[psycopg.Connection]:
    """What an agent's code can open."""
    with psycopg.connect(agent.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def superuser() -> str:
    return os.environ["TEST_SUPERUSER_URL"]


def role_of(agent: ServedAgent) -> str:
    return urlsplit(agent.dsn).username or ""


def insert_thread(connection: psycopg.Connection, session_id: str) -> None:
    connection.execute(
        "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', %s)", [session_id, NOW]
    )


class TestRights:
    def test_it_reads_and_writes_its_own_rows(self, session: psycopg.Connection) -> None:
        insert_thread(session, "t-1")
        insert = (
            "insert into agno_runs (run_id, session_id, run_type, run_data, created_at) values (%s, %s, 'agent', %s, 1)"
        )
        session.execute(insert, ["r-1", "t-1", "{}"])
        session.execute("insert into agno_schema_versions values ('agno_sessions', '2.0.0', 'now')")
        session.execute("update agno_sessions set user_id = 'ann' where session_id = 't-1'")
        session.execute(
            "insert into agno_sessions (session_id, session_type, created_at) values ('t-1', 'agent', 1)"
            " on conflict (session_id) do update set updated_at = excluded.created_at"
        )
        assert session.execute("select user_id, updated_at from agno_sessions").fetchall() == [("ann", 1)]
        with pytest.raises(errors.ForeignKeyViolation):
            session.execute(insert, ["r-2", "never", "{}"])
        session.execute("delete from agno_sessions")
        assert session.execute("select count(*) from agno_runs").fetchone() == (0,)

    def test_the_studio_counts_what_it_writes(self, session: psycopg.Connection, studio: Studio) -> None:
        insert_thread(session, "counted")
        schema = role_of_schema(session)
        assert studio.sql("select session_id from memory_thread", schema=schema) == [("counted",)]
        session.execute("delete from agno_sessions")
        assert studio.sql("select session_id from memory_thread", schema=schema) == []
        assert studio.sql("select count(*) from memory_dirty", schema=schema) == [(0,)]

    def test_it_has_rights_on_three_tables_and_no_others(self, session: psycopg.Connection) -> None:
        rights = session.execute(
            "select c.relname, array_agg(p.what order by p.what) from pg_class c cross join"
            " unnest('{select,insert,update,delete,truncate,references,trigger}'::text[]) as p (what)"
            " where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace = current_schema()::regnamespace"
            " and has_table_privilege(c.oid, p.what) group by c.relname"
        ).fetchall()
        assert dict(rights) == {table: ["delete", "insert", "select", "update"] for table in TABLES}

    def test_nothing_of_any_schema_else_is_its(self, session: psycopg.Connection, other: ServedAgent) -> None:
        usable = session.execute(
            "select nspname from pg_namespace"
            " where has_schema_privilege(oid, 'usage') or has_schema_privilege(oid, 'create')"
        ).fetchall()
        assert {name for (name,) in usable} == {"pg_catalog", "information_schema", role_of_schema(session)}

    def test_its_attributes_are_those_of_a_guest(self, agent: ServedAgent, studio: Studio) -> None:
        ((attributes, limit, settings),) = studio.sql(
            "select array[rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls],"
            " rolconnlimit, rolconfig from pg_roles where rolname = %s",
            role_of(agent),
        )
        assert attributes == [False] * 6
        assert limit == 20
        assert set(settings) == {
            "statement_timeout=60s",
            "idle_in_transaction_session_timeout=60s",
            f"search_path={agent.schema}",
        }

    def test_it_is_a_member_of_nothing_and_nobody_is_of_it(self, agent: ServedAgent, studio: Studio) -> None:
        members = studio.sql(
            "select member::regrole::text, inherit_option, set_option from pg_auth_members"
            " where roleid = %s::regrole or member = %s::regrole",
            role_of(agent),
            role_of(agent),
        )
        # who made it may administer it, and neither use its rights nor become it
        assert members == [("studio", False, False)]

    def test_no_more_than_its_connections_are_let_in(self, agent: ServedAgent) -> None:
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            open_many(agent.dsn, 21)

    def test_the_studio_itself_is_no_superuser(self, studio: Studio) -> None:
        assert studio.sql("select rolsuper, rolbypassrls from pg_roles where rolname = current_user") == [
            (False, False)
        ]


def role_of_schema(connection: psycopg.Connection) -> str:
    found = connection.execute("select current_schema()").fetchone()
    assert found
    return str(found[0])


def open_many(dsn: str, count: int) -> None:
    opened: list[psycopg.Connection] = []
    try:
        opened.extend(psycopg.connect(dsn) for _ in range(count))
    finally:
        for connection in opened:
            connection.close()


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
    "alter function memory_write(agno_sessions) owner to current_user",
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
    "drop function memory_write(agno_sessions)",
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
    "delete from memory_tombstone",
    "insert into memory_dirty (session_id) values ('x')",
    "update memory_user set threads = 0",
    "select memory_user_key('x')",
    "select memory_put(null::agno_sessions, true)",
    "select memory_write(s) from agno_sessions s",
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
            "select array_agg(relacl::text order by oid), (select array_agg(nspacl::text order by oid)"
            " from pg_namespace), (select array_agg(datacl::text order by oid) from pg_database) from pg_class"
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

    def test_locks_that_anybody_may_take_do_not_stop_the_studio(
        self, session: psycopg.Connection, agent: ServedAgent, studio: Studio
    ) -> None:
        sources = [*ROOT.glob("studio/**/*.py"), *ROOT.glob("memory/**/*.py"), *ROOT.glob("memory/**/*.sql")]
        # every number of any size that the studio's code names
        numbers = {int(number) for source in sources for number in re.findall(r"\b\d{7,18}\b", source.read_text())}
        for number in numbers:
            session.execute("select pg_advisory_lock(%s)", [number])
        studio.edit(agent, description="written")


class TestRotation:
    def test_the_old_password_stops_and_what_it_opened_is_closed(self, studio: Studio) -> None:
        agent = studio.create("role-rotated")
        with psycopg.connect(agent.dsn, autocommit=True) as held:
            studio.rotate(agent)
            with pytest.raises(psycopg.OperationalError):
                held.execute("select 1")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(agent.dsn)
        with psycopg.connect(studio.dsn(agent.id)) as connection:
            assert connection.execute("select count(*) from agno_sessions").fetchone() == (0,)

    def test_it_is_one_event_without_the_password(self, studio: Studio) -> None:
        agent = studio.create("role-event")
        studio.rotate(agent)
        events = studio.sql(
            "select actor, object, data from studio_auditevent where action = 'database.rotate' and agent_id = %s",
            agent.id,
        )
        assert events == [("Admin", role_of(agent), {})]


class TestLife:
    def test_it_is_named_like_the_schema(self, agent: ServedAgent) -> None:
        assert role_of(agent) == agent.schema

    def test_a_name_that_somebody_has_taken_is_not_touched(self, studio: Studio, superuser: str) -> None:
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("create role ag_role_taken login")
        agent = studio.create("role-taken")
        assert re.fullmatch(r"ag_role_taken_[0-9a-f]{8}", role_of(agent))
        with psycopg.connect(agent.dsn) as session:
            assert session.execute("select count(*) from agno_sessions").fetchone() == (0,)
        assert studio.sql("select rolconnlimit from pg_roles where rolname = 'ag_role_taken'") == [(-1,)]

    @pytest.mark.parametrize("agent_id", ["p" * 58, "my-postgresql-bot", "7"])
    def test_any_id_gives_a_dsn_that_works(self, studio: Studio, agent_id: str) -> None:
        agent = studio.create(agent_id)
        # what xpander-sdk does to it
        assert agent.dsn.replace("postgresql", "") == agent.dsn.removeprefix("postgresql")
        with psycopg.connect(agent.dsn) as session:
            insert_thread(session, "t-1")

    def test_removing_the_agent_ends_its_sessions_and_drops_it(self, studio: Studio) -> None:
        agent = studio.create("role-removed")
        with psycopg.connect(agent.dsn) as held:
            # in a transaction that holds a lock on the table
            insert_thread(held, "t-1")
            studio.remove(agent)
            with pytest.raises(psycopg.OperationalError):
                held.execute("select 1")
        assert studio.sql("select 1 from pg_roles where rolname = %s", role_of(agent)) == []
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(agent.dsn)

    def test_another_framework_has_none_and_shuts_the_one_there_was(self, studio: Studio) -> None:
        agent = studio.create("role-moved")
        studio.edit(agent, framework="langchain")
        with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
            psycopg.connect(agent.dsn)
        studio.edit(agent, framework="agno")
        psycopg.connect(agent.dsn).close()
        chain = studio.create("role-chain", framework="langchain")
        assert studio.sql("select 1 from pg_roles where rolname = %s", chain.schema) == []

    def test_many_made_at_once_all_get_theirs(self, studio: Studio) -> None:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            made = list(pool.map(studio.create, [f"role-many-{number}" for number in range(6)]))
        for agent in made:
            psycopg.connect(agent.dsn).close()


class TestMending:
    def test_it_gives_and_takes_back_until_the_rights_are_exact(self, studio: Studio, superuser: str) -> None:
        agent = studio.create("role-mended")
        studio.sql(f"grant all on schema {agent.schema} to {role_of(agent)}")
        studio.sql(f"grant all on all tables in schema {agent.schema} to {role_of(agent)}")
        studio.sql(f"revoke update on {agent.schema}.agno_runs from {role_of(agent)}")
        with psycopg.connect(agent.dsn, autocommit=True) as session:
            session.execute("alter role current_user password 'chosen by the agent'")
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute(
                SQL("alter role {} connection limit 99 createdb inherit").format(Identifier(role_of(agent)))
            )
        assert "have their database role" in studio.server.manage("grant_agents")
        with psycopg.connect(agent.dsn, autocommit=True) as session:
            for statement in ("create table mine (x int)", "truncate agno_runs", "select * from memory_thread"):
                with pytest.raises(errors.InsufficientPrivilege):
                    session.execute(statement)
            session.execute("update agno_runs set status = null")
        facts = "select rolconnlimit, rolcreatedb, rolinherit from pg_roles where rolname = %s"
        assert studio.sql(facts, role_of(agent)) == [(20, False, False)]

    def test_it_makes_a_role_that_was_lost_again_with_the_same_password(self, studio: Studio, superuser: str) -> None:
        agent = studio.create("role-lost")
        database = urlsplit(agent.dsn).path.lstrip("/")
        with psycopg.connect(superuser.replace("/postgres?", f"/{database}?"), autocommit=True) as connection:
            connection.execute(SQL("drop owned by {}").format(Identifier(role_of(agent))))
            connection.execute(SQL("drop role {}").format(Identifier(role_of(agent))))
        studio.server.manage("grant_agents")
        psycopg.connect(agent.dsn).close()
