"""Sessions of an agent that do something forever."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import errors

from tests.safety.roles import Studio
from tests.server import ServedAgent

FOREVER = "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set lock_timeout = 0"
TABLES = "agno_sessions, agno_runs, agno_schema_versions"


@contextlib.contextmanager
def holding(agent: ServedAgent, *statements: str) -> Iterator[psycopg.Connection[Any]]:
    """Let a session of the agent do this forever, with its limits lifted."""
    with contextlib.closing(psycopg.connect(agent.dsn, autocommit=True)) as session:
        session.execute(FOREVER)

        def work() -> None:
            for statement in statements:
                with contextlib.suppress(errors.DivisionByZero):
                    session.execute(statement)

        def attack() -> None:
            with contextlib.suppress(psycopg.Error):
                work()

        beside = threading.Thread(target=attack)
        beside.start()
        try:
            yield session
        finally:
            with contextlib.suppress(psycopg.Error):
                session.cancel()
            beside.join()


@contextlib.contextmanager
def held(agent: ServedAgent, *statements: str) -> Iterator[psycopg.Connection[Any]]:
    """Let a session of the agent keep the transaction of some statements open, with its limits lifted."""
    with contextlib.closing(psycopg.connect(agent.dsn, autocommit=True)) as session:
        session.execute(FOREVER)
        for statement in ("begin", *statements):
            session.execute(statement)
        yield session


def is_ended(studio: Studio, session: psycopg.Connection[Any]) -> bool:
    try:
        return not studio.sql("select 1 from pg_stat_activity where pid = %s", session.info.backend_pid)
    except psycopg.OperationalError:
        # nobody gets in while it holds every lock
        return False
