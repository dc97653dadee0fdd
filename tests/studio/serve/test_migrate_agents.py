"""manage.py migrate_agents, and the same step of a start."""

import os
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.server import StudioServer

BREAK = "drop table memory_thread cascade; create view memory_thread as select 1 as session_id"


def test_one_agent_that_fails_is_named_and_the_others_are_migrated(studio_server: StudioServer) -> None:
    agents = [studio_server.create_agent(f"behind-{letter}") for letter in "abc"]
    for agent in agents:
        studio_server.sql("delete from django_migrations where app = 'memory'", schema=agent.schema)
    for statement in BREAK.split("; "):
        studio_server.sql(statement, schema=agents[1].schema)

    with pytest.raises(AssertionError) as stopped:
        studio_server.manage("migrate_agents")
    assert "Agent behind-b: " in str(stopped.value)
    assert "behind-a" not in str(stopped.value)
    assert "2 schemas brought up to date" in str(stopped.value)
    assert [_applied(studio_server, agent.schema) for agent in agents] == [True, False, True]

    studio_server.sql("drop view memory_thread", schema=agents[1].schema)
    assert "1 schema brought up to date" in studio_server.manage("migrate_agents")
    assert _applied(studio_server, agents[1].schema)
    assert "Nothing to do" in studio_server.manage("migrate_agents")


def _applied(server: StudioServer, schema: str) -> bool:
    return bool(server.sql("select 1 from django_migrations where app = 'memory'", schema=schema))


INDEX = "idx_agno_sessions_created_at"
IS_VALID = "select i.indisvalid from pg_index i where i.indexrelid = to_regclass(%s)"


@pytest.fixture
def old_snapshot(studio_server: StudioServer) -> Iterator[psycopg.Connection]:
    """What a pg_dump that runs keeps open."""
    with psycopg.connect(studio_server.dsn, application_name="pg_dump") as connection:
        connection.execute("set transaction isolation level repeatable read; select 1")
        connection.execute("select count(*) from studio_agent")
        yield connection


@pytest.mark.parametrize("is_recorded", [True, False], ids=["migrated before", "not migrated"])
def test_an_index_that_an_old_snapshot_holds_up_is_no_success(
    studio_server: StudioServer, old_snapshot: psycopg.Connection, is_recorded: bool
) -> None:
    agent = studio_server.create_agent(f"held-up-{is_recorded}".lower())
    studio_server.sql(f"drop index {INDEX}", schema=agent.schema)
    if not is_recorded:
        studio_server.sql("delete from django_migrations where app = 'memory'", schema=agent.schema)
    # the second time there is what the first has left
    for _ in range(2):
        with pytest.raises(AssertionError) as stopped:
            studio_server.manage("migrate_agents")
        said = str(stopped.value)
        assert f"Agent {agent.id}: A transaction that is open holds up the change: process" in said
        assert f"process {old_snapshot.info.backend_pid} (pg_dump, role " in said
        assert "since 20" in said
        assert "then run this again" in said
        assert studio_server.sql(IS_VALID, f"{agent.schema}.{INDEX}") != [(True,)]
    old_snapshot.rollback()
    assert "1 schema brought up to date" in studio_server.manage("migrate_agents")
    assert studio_server.sql(IS_VALID, f"{agent.schema}.{INDEX}") == [(True,)]


@pytest.mark.parametrize(
    "harm",
    [
        f"drop index {INDEX}",
        f"update pg_index set indisvalid = false where indexrelid = '{INDEX}'::regclass",
        "drop trigger memory_bury on agno_sessions",
        "alter table agno_sessions disable trigger memory_bury",
        "create or replace function memory_hash(key bytea, id text) returns bytea language sql as 'select key'",
        "drop function memory_buried(text)",
        "drop table memory_backlog",
        "drop sequence memory_missed",
        "drop table agno_runs cascade",
    ],
    ids=lambda harm: "_".join(harm.split()[:4]),
)
def test_what_is_missing_although_it_was_migrated_is_noticed_and_made(studio_server: StudioServer, harm: str) -> None:
    agent = studio_server.create_agent(f"lacking-{zlib.crc32(harm.encode())}")
    superuser = harm.startswith("update pg_index")
    if superuser:
        with psycopg.connect(_as_superuser(studio_server), autocommit=True) as connection:
            connection.execute("select set_config('search_path', %s, false)", [agent.schema])
            connection.execute(harm)
    else:
        studio_server.sql(harm, schema=agent.schema)
    assert "1 schema brought up to date" in studio_server.manage("migrate_agents")
    assert "Nothing to do" in studio_server.manage("migrate_agents")


def test_what_cannot_be_made_is_said(studio_server: StudioServer) -> None:
    agent = studio_server.create_agent("without-a-column")
    studio_server.sql("alter table memory_thread drop column has_summary", schema=agent.schema)
    with pytest.raises(AssertionError, match=r"Agent without-a-column: it lacks column memory_thread\.has_summary"):
        studio_server.manage("migrate_agents")
    studio_server.sql("alter table memory_thread add has_summary boolean not null default false", schema=agent.schema)
    assert "Nothing to do" in studio_server.manage("migrate_agents")


def test_what_agno_drops_itself_is_not_missed(studio_server: StudioServer) -> None:
    agent = studio_server.create_agent("without-runs")
    studio_server.sql("alter table agno_sessions drop column runs", schema=agent.schema)
    assert "Nothing to do" in studio_server.manage("migrate_agents")


def _as_superuser(server: StudioServer) -> str:
    name = urlsplit(server.dsn).path.lstrip("/")
    return psycopg.conninfo.make_conninfo(os.environ["TEST_SUPERUSER_URL"], dbname=name)
