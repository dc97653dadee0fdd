"""Deleting threads while everybody else is at work."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection, transaction

from memory.services import deletion
from memory.services.deletion import delete_threads
from studio.models import Agent, AuditEvent
from tests.world import DANA, NOW, run, session_ids

# Others at work. The deletion of these tests stays open as long as the test does, as the test's own
# transaction is around it; the agent has a connection of its own, which commits at once.


@pytest.fixture
def agent_at_work(ada: Agent) -> Iterator["psycopg.Connection[Any]"]:
    place = connection.settings_dict
    with psycopg.connect(
        host=place["HOST"],
        port=place["PORT"],
        dbname=place["NAME"],
        user=place["USER"],
        password=place["PASSWORD"],
        autocommit=True,
        options=f"-c search_path={ada.schema_name},public -c statement_timeout=20000",
    ) as other:
        yield other


@contextmanager
def undone() -> Iterator[None]:
    """Roll back what happens in the block, which gives its locks free."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def mark(agent_at_work: "psycopg.Connection[Any]") -> Iterator[str]:
    """A prefix for ids of threads that a test really commits; they go when the deletion has been rolled back."""
    mark = f"{uuid4().hex}-"
    with undone():
        yield mark
    agent_at_work.execute("delete from agno_sessions where starts_with(session_id, %s)", [mark])
    agent_at_work.execute("delete from memory_tombstone")
    fold(agent_at_work)


def fold(other: "psycopg.Connection[Any]") -> None:
    while other.execute("select memory_fold(1000, false)").fetchone() != (0,):
        pass


def write(other: "psycopg.Connection[Any]", session_id: str, user_id: str) -> None:
    other.execute(
        """
        insert into agno_sessions (session_id, session_type, user_id, runs, created_at, updated_at)
        values (%(id)s, 'agent', %(user)s, %(runs)s, %(at)s, %(at)s)
        on conflict (session_id) do update set runs = excluded.runs, updated_at = excluded.updated_at""",
        {"id": session_id, "user": user_id, "runs": json.dumps([run(f"{session_id}-r")]), "at": NOW},
    )


def fill(other: "psycopg.Connection[Any]", mark: str, count: int) -> list[str]:
    other.execute(
        """
        insert into agno_sessions (session_id, session_type, user_id, created_at)
        select %(mark)s || n, 'agent', %(mark)s || 'user' || n %% 50, %(at)s from generate_series(1, %(count)s) n""",
        {"mark": mark, "count": count, "at": NOW},
    )
    other.execute(
        """
        insert into agno_runs (run_id, session_id, run_type, run_data, created_at)
        select %(mark)s || 'r' || n, %(mark)s || n, 'agent', '{}', %(at)s from generate_series(1, %(count)s) n""",
        {"mark": mark, "count": count, "at": NOW},
    )
    return [f"{mark}{n}" for n in range(1, count + 1)]


def test_an_agent_that_writes_other_threads_does_not_wait(
    ada: Agent, agent_at_work: "psycopg.Connection[Any]", mark: str
) -> None:
    doomed = fill(agent_at_work, mark, 1000)
    write(agent_at_work, f"{mark}other", f"{mark}else")
    assert delete_threads(DANA, ada, doomed).threads == 1000
    # Had one of these waited for the open deletion, it would have run into its timeout.
    agent_at_work.execute("set statement_timeout = '5s'")
    write(agent_at_work, f"{mark}other", f"{mark}else")
    write(agent_at_work, f"{mark}new", f"{mark}else")
    agent_at_work.execute(
        "insert into agno_runs (run_id, session_id, run_type, run_data, created_at) values (%s, %s, 'agent', '{}', %s)",
        [f"{mark}run", f"{mark}new", NOW],
    )
    agent_at_work.execute("delete from agno_sessions where session_id = %s", [f"{mark}other"])


def test_an_agent_that_writes_for_the_same_user_commits_and_is_counted_later(
    ada: Agent, agent_at_work: "psycopg.Connection[Any]", mark: str
) -> None:
    write(agent_at_work, f"{mark}doomed", f"{mark}user")
    with undone():
        delete_threads(DANA, ada, [f"{mark}doomed"])
        write(agent_at_work, f"{mark}new", f"{mark}user")
    fold(agent_at_work)
    assert agent_at_work.execute("select threads from memory_user where user_id = %s", [f"{mark}user"]).fetchone() == (
        2,
    )


def test_an_agent_that_writes_a_thread_which_is_being_deleted_does_not_bring_it_back(
    ada: Agent, agent_at_work: "psycopg.Connection[Any]", mark: str
) -> None:
    """Both upserts begin before the deletion commits; here the agent deletes and the test upserts."""
    write(agent_at_work, f"{mark}s", f"{mark}user")
    with agent_at_work.transaction():
        agent_at_work.execute("delete from agno_sessions where session_id = %s", [f"{mark}s"])
        waiting = [
            threading.Thread(
                target=_in_flight, args=(agent_at_work.info.dsn, agent_at_work.info.password, ada, what, mark)
            )
            for what in ("session", "run")
        ]
        for one in waiting:
            one.start()
        _until_waiting(agent_at_work, len(waiting))
    for one in waiting:
        one.join(20)
    for table in ("agno_sessions", "agno_runs"):
        found = agent_at_work.execute(f"select count(*) from {table} where session_id = %s", [f"{mark}s"]).fetchone()
        assert found == (0,)


def _in_flight(dsn: str, password: str, agent: Agent, what: str, mark: str) -> None:
    options = f"-c search_path={agent.schema_name} -c statement_timeout=20000"
    with psycopg.connect(dsn, password=password, options=options, autocommit=True, application_name=mark) as other:
        if what == "session":
            write(other, f"{mark}s", f"{mark}user")
        else:
            other.execute(
                "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
                " values (%s, %s, 'agent', '{}', %s)",
                [f"{mark}late", f"{mark}s", NOW],
            )


def _until_waiting(other: "psycopg.Connection[Any]", count: int) -> None:
    with psycopg.connect(other.info.dsn, password=other.info.password, autocommit=True) as watch:
        for _ in range(2000):
            found = watch.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            ).fetchone()
            if found == (count,):
                return
            threading.Event().wait(0.005)
    pytest.fail("nobody waits for the deletion")


def test_what_somebody_else_deletes_meanwhile_is_not_counted_twice(
    ada: Agent, agent_at_work: "psycopg.Connection[Any]", mark: str
) -> None:
    write(agent_at_work, f"{mark}a", f"{mark}user")
    write(agent_at_work, f"{mark}b", f"{mark}user")
    agent_at_work.execute("delete from agno_sessions where session_id = %s", [f"{mark}a"])
    assert delete_threads(DANA, ada, [f"{mark}a", f"{mark}b"]).threads == 1


def test_a_thread_that_an_agent_holds_for_long_is_left_and_said_so(
    ada: Agent, agent_at_work: "psycopg.Connection[Any]", mark: str
) -> None:
    write(agent_at_work, f"{mark}a", f"{mark}user")
    write(agent_at_work, f"{mark}b", f"{mark}user")
    with agent_at_work.transaction():
        agent_at_work.execute("select 1 from agno_sessions where session_id = %s for update", [f"{mark}b"])
        with connection.cursor() as cursor:
            cursor.execute("set local lock_timeout = '50ms'")
        with pytest.raises(deletion.Busy):
            delete_threads(DANA, ada, [f"{mark}a", f"{mark}b"])
    assert {f"{mark}a", f"{mark}b"} <= session_ids(ada)
    assert AuditEvent.objects.filter(action="threads.delete").count() == 0
