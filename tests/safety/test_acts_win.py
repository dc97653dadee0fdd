"""A person's act wins over what an agent's sessions hold: deleting, saving, moving, upgrading, and the upkeep."""

import contextlib
import subprocess
import sys
import threading
from typing import Any

import httpx
import psycopg
import pytest

from tests.markup import Form, Page
from tests.rounds import rounds
from tests.safety.held import FOREVER, TABLES, held, is_ended
from tests.safety.roles import Studio, insert_thread
from tests.server import ROOT, ServedAgent
from tests.studio.serve.running import until

ROW = "select 1 from agno_sessions where session_id = '{id}'"
EVERYTHING = f"lock table {TABLES} in access exclusive mode"
BY_A_PERSON, BY_THE_WATCHDOG = "held up a person", "held up the studio or another agent"
# what keeps a person's act from its end
HOLDS = {
    "a-row": f"{ROW} for update",
    "a-shared-row": f"{ROW} for key share",
    "a-table": "lock table agno_sessions in access exclusive mode",
    "tables": EVERYTHING,
    "runs": "lock table agno_runs in share row exclusive mode",
    "a-run": "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
    " values ('r {id}', '{id}', 'agent', '{{}}', 1)",
    "a-deletion": "delete from agno_sessions where session_id = '{id}'",
    "an-update": "update agno_sessions set user_id = 'ann' where session_id = '{id}'",
}


@pytest.fixture(scope="module")
def agent(attacked: Studio) -> ServedAgent:
    return attacked.create("acted-on")


@pytest.fixture
def fresh(attacked: Studio, request: pytest.FixtureRequest) -> ServedAgent:
    """An agent of its own, as the log says at most once a minute what the watchdog has ended."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())
    return attacked.create(name[-50:].strip("-"))


def write(agent: ServedAgent, *session_ids: str) -> None:
    with psycopg.connect(agent.dsn, autocommit=True) as session:
        for session_id in session_ids:
            insert_thread(session, session_id)


def address(agent: ServedAgent, session_id: str) -> str:
    return f"/agents/{agent.id}/threads/{session_id}"


def event_of(studio: Studio, agent: ServedAgent, action: str) -> dict[str, Any]:
    """The one event of this action."""
    query = "select data from studio_auditevent where action = %s and agent_id = %s"
    ((data,),) = studio.sql(query, action, agent.id)
    return dict(data)


def ended(studio: Studio, agent: ServedAgent, why: str) -> int:
    """The sessions of the agent that the studio has ended outside of an act with an event of its own."""
    query = """
        select coalesce(sum((data #>> '{counts,sessions}')::int), 0)::int from studio_auditevent
        where action = 'database.end_sessions' and agent_id = %s and object = %s"""
    ((count,),) = studio.sql(query, agent.id, why)
    return int(count)


def form_with(page: httpx.Response, field: str) -> Form:
    assert page.status_code == 200, page.text
    return next(form for form in Page(page.text).forms if form.method == "post" and field in form.fields)


class TestDeletion:
    @pytest.mark.parametrize("lock", HOLDS)
    def test_of_a_thread_ends_who_holds_it_and_says_so(self, attacked: Studio, fresh: ServedAgent, lock: str) -> None:
        write(fresh, "t")
        attacked.fold(fresh.schema)
        with held(fresh, HOLDS[lock].format(id="t")) as session:
            answer = attacked.api.delete(address(fresh, "t"))
            assert answer.status_code == 204, answer.text
            assert is_ended(attacked, session)
        event = event_of(attacked, fresh, "threads.delete")
        assert event["counts"]["threads"] == 1
        # where a table is locked, the id was looked up before
        assert event.get("ended_sessions", 0) + ended(attacked, fresh, BY_A_PERSON) == 1

    @pytest.mark.parametrize("lock", ["a-row", "tables"])
    def test_of_many_by_the_page_wins_too(self, attacked: Studio, fresh: ServedAgent, lock: str) -> None:
        write(fresh, *(f"t-{number}" for number in range(5)))
        path = f"/agents/{fresh.id}/delete-threads/?all=1"
        with held(fresh, HOLDS[lock].format(id="t-3")):
            page = attacked.browser.get(path)
            form = form_with(page, "expect")
        with held(fresh, HOLDS[lock].format(id="t-3")) as session:
            assert "Deleted 5 threads" in form.send(attacked.browser, page, confirm="5").text
            assert is_ended(attacked, session)
        event = event_of(attacked, fresh, "threads.delete")
        assert event["counts"]["threads"] == 5
        assert event.get("ended_sessions", 0) + ended(attacked, fresh, BY_A_PERSON) >= 1

    def test_an_agent_that_is_merely_busy_is_left_alone(self, attacked: Studio, fresh: ServedAgent) -> None:
        write(fresh, "busy")
        with psycopg.connect(fresh.dsn) as session:
            session.execute("select 1 from agno_sessions where session_id = 'busy' for update")
            threading.Timer(0.15, session.commit).start()
            assert attacked.api.delete(address(fresh, "busy")).status_code == 204
            assert session.execute("select 1").fetchone() == (1,)
        assert "ended_sessions" not in event_of(attacked, fresh, "threads.delete")
        assert ended(attacked, fresh, BY_A_PERSON) == 0

    @pytest.mark.attack
    def test_it_wins_against_many_that_come_back(self, attacked: Studio, fresh: ServedAgent) -> None:
        write(fresh, "held")
        stop = threading.Event()
        attackers = [threading.Thread(target=come_back, args=[fresh.dsn, stop]) for _ in range(rounds(6, 16))]
        for attacker in attackers:
            attacker.start()
        try:
            for number in range(rounds(3, 15)):
                attacked.sql(
                    "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', 1)",
                    f"n{number}",
                    schema=fresh.schema,
                )
                answer = attacked.api.delete(address(fresh, f"n{number}"))
                assert answer.status_code == 204, answer.text
        finally:
            stop.set()
            attacked.end_sessions(fresh)
            for attacker in attackers:
                attacker.join()
        # the agent is let in again
        until(lambda: can_come_in(fresh), 10)


def come_back(dsn: str, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(psycopg.Error), psycopg.connect(dsn, connect_timeout=5) as session:
            session.execute(FOREVER)
            session.execute("select 1 from agno_sessions for update")
            session.execute("lock table agno_runs in access exclusive mode")
            session.execute("select pg_sleep(600)")


def can_come_in(agent: ServedAgent) -> bool:
    try:
        psycopg.connect(agent.dsn).close()
    except psycopg.OperationalError:
        return False
    return True


class TestSaving:
    def test_settings_are_saved_and_hold_at_once(self, attacked: Studio, fresh: ServedAgent) -> None:
        path = f"/agents/{fresh.id}/memory/"
        with held(fresh, EVERYTHING):
            page = attacked.browser.get(path)
            form = form_with(page, "version")
            assert form.send(attacked.browser, page, session_storage="off").status_code == 200
        stored = "select session_storage from studio_memorysettings where agent_id = %s"
        assert attacked.sql(stored, fresh.id) == [(False,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            write(fresh, "late")

    def test_an_agent_moves_to_another_framework(self, attacked: Studio, fresh: ServedAgent) -> None:
        with held(fresh, EVERYTHING) as session:
            attacked.edit(fresh, framework="langchain")
            assert is_ended(attacked, session)
        assert event_of(attacked, fresh, "agent.edit")["ended_sessions"] == 1
        assert not can_come_in(fresh)


class TestUpkeep:
    def test_what_was_written_is_counted(self, attacked: Studio, fresh: ServedAgent) -> None:
        """Counting a thread reads its runs, which an agent has locked."""
        with held(fresh, "lock table agno_runs in access exclusive mode") as session:
            write(fresh, "t")
            counted = "select session_id from memory_thread"
            until(lambda: attacked.sql(counted, schema=fresh.schema) == [("t",)], 10)
            assert is_ended(attacked, session)
        until(lambda: ended(attacked, fresh, BY_THE_WATCHDOG) == 1, 5)


class TestUpgrade:
    def test_no_lock_that_an_agent_may_take_stops_it(self, attacked: Studio, agent: ServedAgent) -> None:
        last = f"(select max(name) from {agent.schema}.django_migrations where app = 'memory')"
        with held(agent, EVERYTHING):
            attacked.sql(f"delete from {agent.schema}.django_migrations where name = {last}")
            assert "1 schema brought up to date" in attacked.server.manage("migrate_agents")

    def test_it_names_who_holds_the_turn(self, attacked: Studio, agent: ServedAgent) -> None:
        last = f"(select max(name) from {agent.schema}.django_migrations where app = 'memory')"
        with psycopg.connect(attacked.server.dsn, application_name="another machine") as other:
            other.execute("lock table public.studio_migrating in exclusive mode")
            attacked.sql(f"delete from {agent.schema}.django_migrations where name = {last}")
            code = "from studio.serve import turn, migrate;turn.WAIT = 1; migrate.migrate()"
            command = [sys.executable, "manage.py", "shell", "--no-imports", "--command", code]
            done = subprocess.run(command, cwd=ROOT, env=attacked.server.env, capture_output=True, text=True)
            who = f"studio (another machine), process {other.info.backend_pid} of the database, since 20"
        assert done.returncode == 1
        assert f"The tables are being updated by {who}" in done.stderr
        attacked.server.manage("migrate_agents")
