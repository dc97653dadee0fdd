"""The watchdog works when the database is new, of an earlier release, full, or was dead."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.safety.held import held
from tests.server import ServedAgent, StudioServer, new_database, serving
from tests.studio.serve.running import kill, launch, passable, postmaster, stop, until

SECONDS = 2
# the machine may be busy with other tests
SOON = 15
NOT_WATCHED = "are not watched"
LIMITS = {"AGENT_TRANSACTION_SECONDS": str(SECONDS), "AGENT_CONNECTION_LIMIT": "1000"}
LAST = "(select max(name) from {0}.django_migrations where app = 'memory')"


@pytest.fixture(scope="module")
def server() -> Iterator[StudioServer]:
    """A studio with a server of its own, of which an agent may have every connection."""
    with passable() as place, serving("", place / "var", **LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def agent(server: StudioServer) -> ServedAgent:
    return server.create_agent("greedy")


def opened(dsn: str, stack: contextlib.ExitStack) -> list[psycopg.Connection[Any]]:
    """Open connections until no more are to be had."""
    sessions: list[psycopg.Connection[Any]] = []
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            sessions.append(stack.enter_context(contextlib.closing(psycopg.connect(dsn, autocommit=True))))
    return sessions


def lives(session: psycopg.Connection[Any]) -> bool:
    try:
        session.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def test_it_says_nothing_of_a_new_database(server: StudioServer) -> None:
    until_ready = server.said[: next(n for n, line in enumerate(server.said) if line.startswith("Open "))]
    assert NOT_WATCHED not in "\n".join(until_ready)


def test_it_works_when_all_connections_are_taken(server: StudioServer, agent: ServedAgent) -> None:
    with contextlib.ExitStack() as stack:
        sessions = opened(agent.dsn, stack)
        # those that are kept for the studio
        assert opened(server.dsn, stack)
        assert len(sessions) > 50
        for session in sessions:
            session.execute("set idle_in_transaction_session_timeout = 0; begin")
        until(lambda: not any(map(lives, sessions)), SECONDS + SOON)


def test_a_connection_that_is_kept_for_the_studio_has_its_rights(server: StudioServer, agent: ServedAgent) -> None:
    """Postgres looks up who may have one before it knows whose the database is."""
    with contextlib.ExitStack() as stack:
        assert opened(agent.dsn, stack)
        assert server.sql("select count(*) from public.studio_agent") == [(1,)]
        assert server.sql("create table public.one (); drop table public.one") == []


def test_it_works_again_when_the_server_was_killed(server: StudioServer, agent: ServedAgent) -> None:
    kill(postmaster(Path(server.env["DATA_DIR"])))
    until(lambda: can_come_in(agent), SOON)
    with held(agent, "select count(*) from agno_sessions") as session:
        until(lambda: not lives(session), SECONDS + SOON)


def can_come_in(agent: ServedAgent) -> bool:
    try:
        psycopg.connect(agent.dsn).close()
    except psycopg.OperationalError:
        return False
    return True


def test_it_works_before_an_upgrade(tmp_path: Path) -> None:
    """An agent's locks may be in the way of the tables' changes."""
    with new_database() as dsn:
        given = {"SECRET_KEY": secrets.token_urlsafe(50), **LIMITS}
        with serving(dsn, tmp_path, **given) as server:
            agent = server.create_agent("before-an-upgrade")
        with psycopg.connect(dsn, autocommit=True) as other:
            other.execute("alter table public.studio_databaserole drop column admitted_at")
            other.execute(f"delete from {agent.schema}.django_migrations where name = {LAST.format(agent.schema)}")
            other.execute("begin; lock table public.studio_migrating in exclusive mode")
            studio = launch(tmp_path, DATABASE_URL=dsn, **given)
            try:
                with held(agent, "select count(*) from agno_sessions") as session:
                    until(lambda: not lives(session), SECONDS + 2 * SOON)
                assert NOT_WATCHED not in studio.said()
            finally:
                stop(studio)
