"""An agent's database role: what the handed-out DSN can do, and what becomes of it."""

import concurrent.futures
import os
import re
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier

from tests.safety.roles import Studio, insert_thread, role_of
from tests.server import ServedAgent

TABLES = {"agno_sessions", "agno_runs", "agno_schema_versions"}


@pytest.fixture
def superuser() -> str:
    return os.environ["TEST_SUPERUSER_URL"]


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
        studio.fold(schema)
        assert studio.sql("select session_id from memory_thread", schema=schema) == [("counted",)]
        session.execute("delete from agno_sessions")
        studio.fold(schema)
        assert studio.sql("select session_id from memory_thread", schema=schema) == []
        assert studio.sql("select is_called from memory_missed", schema=schema) == [(False,)]

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
            "select member::regrole::text, to_jsonb(m) -> 'inherit_option', to_jsonb(m) -> 'set_option'"
            " from pg_auth_members m where roleid = %s::regrole or member = %s::regrole",
            role_of(agent),
            role_of(agent),
        )
        ((version,),) = studio.sql("select current_setting('server_version_num')::int / 10000")
        # who made it may administer it and end its sessions, for which it needs the role's rights, and not become it
        assert sorted(members) == ([("studio", False, False), ("studio", True, False)] if version >= 16 else members)
        assert {member for member, *_ in members} == {"studio"}

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
