"""A person's act wins over what an agent's sessions hold, set and try: deleting, rotating, removing, upgrading."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.rounds import rounds
from tests.safety.roles import Studio, insert_thread, role_of
from tests.safety.test_hostile_sessions import FOREVER, end_all, holding
from tests.server import ROOT, ServedAgent, new_database, serving
from tests.studio.serve.running import until

HOLDS = {
    "a row": ["begin", "select 1 from agno_sessions where session_id = '{id}' for update"],
    "a shared row": ["begin", "select 1 from agno_sessions where session_id = '{id}' for key share"],
    "a table": ["begin", "lock table agno_sessions in access exclusive mode"],
    "both tables": ["begin", "lock table agno_runs, agno_sessions in access exclusive mode"],
    "the table of runs": ["begin", "lock table agno_runs in share row exclusive mode"],
    "a run that is not committed": [
        "begin",
        "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
        " values ('r {id}', '{id}', 'agent', '{{}}', 1)",
    ],
    "a deletion that is not committed": ["begin", "delete from agno_sessions where session_id = '{id}'"],
    "an update that is not committed": ["begin", "update agno_sessions set user_id = 'ann' where session_id = '{id}'"],
}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with (
        new_database() as dsn,
        serving(dsn, tmp_path_factory.mktemp("attacked"), API_REQUESTS_PER_MINUTE="100000", WEB_THREADS="4") as server,
    ):
        scopes = [word for scope in ("admin", "threads:delete", "threads:read") for word in ("--scope", scope)]
        key = server.manage("api_key", "create", "--name", "acts", *scopes).splitlines()[-1]
        with httpx.Client(base_url=f"{server.url}/api", headers={"x-api-key": key}, timeout=60) as api:
            yield Studio(server, server.client(), api)


@pytest.fixture(scope="module")
def agent(attacked: Studio) -> ServedAgent:
    return attacked.create("acted-on")


def write(agent: ServedAgent, session_id: str) -> None:
    with psycopg.connect(agent.dsn, autocommit=True) as session:
        insert_thread(session, session_id)


def last_event(studio: Studio, action: str) -> dict[str, Any]:
    ((data,),) = studio.sql("select data from studio_auditevent where action = %s order by id desc limit 1", action)
    return dict(data)


def is_held(studio: Studio, session: psycopg.Connection[Any]) -> bool:
    """Tell whether a session is in a transaction and waits for its next statement."""
    state = "select 1 from pg_stat_activity where pid = %s and state = 'idle in transaction'"
    return bool(studio.sql(state, session.info.backend_pid))


class TestDeletion:
    @pytest.mark.parametrize("held", HOLDS)
    def test_of_a_thread_ends_who_holds_it_and_says_so(self, attacked: Studio, agent: ServedAgent, held: str) -> None:
        # one that was deleted does not come back
        thread = held.replace(" ", "-")
        write(agent, thread)
        attacked.fold(agent.schema)
        with holding(agent, *(statement.format(id=thread) for statement in HOLDS[held])) as session:
            until(lambda: is_held(attacked, session))
            answer = attacked.api.delete(address(attacked, agent, thread))
            assert answer.status_code == 204, answer.text
        event = last_event(attacked, "threads.delete")
        assert event["counts"]["threads"] == 1
        # the address is looked up first, where a table is locked
        assert event.get("ended_sessions") == 1 or ("table" in held and was_ended(attacked, agent))

    def test_many_by_a_page_win_too(self, attacked: Studio, agent: ServedAgent) -> None:
        for number in range(5):
            write(agent, f"page-{number}")
        with holding(agent, "begin", "lock table agno_sessions, agno_runs in access exclusive mode") as session:
            until(lambda: is_held(attacked, session))
            page = attacked.browser.get(f"/agents/{agent.id}/delete-threads/?all=1")
            assert page.status_code == 200
        assert was_ended(attacked, agent)

    def test_an_agent_that_is_merely_busy_is_left_alone(self, attacked: Studio, agent: ServedAgent) -> None:
        write(agent, "busy")
        url = address(attacked, agent, "busy")
        with psycopg.connect(agent.dsn) as session:
            session.execute("select 1 from agno_sessions where session_id = 'busy' for update")
            threading.Timer(0.15, session.commit).start()
            assert attacked.api.delete(url).status_code == 204
            assert session.execute("select 1").fetchone() == (1,)
        assert "ended_sessions" not in last_event(attacked, "threads.delete")

    @pytest.mark.attack
    def test_it_wins_against_many_that_come_back(self, attacked: Studio) -> None:
        agent = attacked.create("comes-back")
        write(agent, "held")
        stop = threading.Event()
        attackers = [threading.Thread(target=come_back, args=[agent.dsn, stop]) for _ in range(rounds(6, 16))]
        for attacker in attackers:
            attacker.start()
        try:
            for number in range(rounds(3, 15)):
                attacked.sql(
                    "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', 1)",
                    f"n{number}",
                    schema=agent.schema,
                )
                answer = attacked.api.delete(address(attacked, agent, f"n{number}"))
                assert answer.status_code == 204, answer.text
        finally:
            stop.set()
            end_all(agent)
            for attacker in attackers:
                attacker.join()
        # the agent is let in again
        psycopg.connect(agent.dsn).close()


def come_back(dsn: str, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(psycopg.Error), psycopg.connect(dsn, connect_timeout=5) as session:
            session.execute(FOREVER)
            session.execute("select 1 from agno_sessions for update")
            session.execute("lock table agno_runs in access exclusive mode")
            session.execute("select pg_sleep(600)")


def address(studio: Studio, agent: ServedAgent, session_id: str = "held") -> str:
    return f"/agents/{agent.id}/threads/{session_id}"


def was_ended(studio: Studio, agent: ServedAgent) -> bool:
    """Tell whether the studio has noted that it ended a session of the agent."""
    query = "select 1 from studio_auditevent where action = 'database.end_sessions' and agent_id = %s"
    until(lambda: studio.sql(query, agent.id), 3)
    return True


class Attacker:
    """Comes in with every password that was seen, holds sessions, lifts limits, and sets passwords of his own."""

    def __init__(self, agent: ServedAgent) -> None:
        self.agent, self.stop = agent, threading.Event()
        self.passwords = {urlsplit(agent.dsn).password or "", "mine"}
        self.inside = 0
        self.threads = [threading.Thread(target=self.attack, args=[number]) for number in range(8)]
        for thread in self.threads:
            thread.start()

    def attack(self, number: int) -> None:
        while not self.stop.is_set():
            for password in list(self.passwords):
                with contextlib.suppress(psycopg.Error):
                    self.come_in(password, number)

    def come_in(self, password: str, number: int) -> None:
        with contextlib.closing(psycopg.connect(dsn_with(self.agent, password), autocommit=True)) as session:
            self.inside += 1
            session.execute(FOREVER)
            session.execute("alter role current_user set statement_timeout = 0")
            if number % 2:
                session.execute("alter role current_user password 'mine'")
            else:
                session.execute("begin")
                session.execute("alter role current_user password 'mine'")
                session.execute("lock table agno_sessions in access exclusive mode")
            session.execute("select pg_sleep(600)")

    def end(self) -> None:
        self.stop.set()
        end_all(self.agent)
        for thread in self.threads:
            thread.join()


def dsn_with(agent: ServedAgent, password: str) -> str:
    return agent.dsn.replace(urlsplit(agent.dsn).password or "", password)


@contextlib.contextmanager
def attacking(agent: ServedAgent) -> Iterator[Attacker]:
    attacker = Attacker(agent)
    try:
        yield attacker
    finally:
        attacker.end()


@pytest.mark.attack
class TestRotation:
    def test_no_attacker_stays_in_and_no_password_is_dead(self, attacked: Studio) -> None:
        """The attacker knows each password until it is changed, and sets his own."""
        agent = attacked.create("rotated")
        with attacking(agent) as attacker:
            for _ in range(rounds(8, 200)):
                seen = attacker.inside
                until(lambda seen=seen: attacker.inside > seen, 5)
                attacked.rotate(agent)
                dsn = attacked.dsn(agent.id)
                # it opens, with the studio's limits, and nobody is in who has not got it
                with psycopg.connect(dsn) as session:
                    assert session.execute("show statement_timeout").fetchone() == ("1min",)
                    assert inside(attacked, agent, session) == []
                for old in attacker.passwords:
                    with pytest.raises(psycopg.OperationalError):
                        psycopg.connect(dsn_with(agent, old)).close()
                attacker.passwords = {urlsplit(dsn).password or "", "mine"}

    def test_removal_wins_too(self, attacked: Studio) -> None:
        for number in range(rounds(4, 100)):
            agent = attacked.create(f"removed-{number}")
            with attacking(agent) as attacker:
                until(lambda attacker=attacker: attacker.inside > 3, 5)
                attacked.remove(agent)
                assert attacked.sql("select 1 from pg_roles where rolname = %s", role_of(agent)) == []
                assert attacked.sql("select 1 from pg_stat_activity where usename = %s", role_of(agent)) == []

    def test_rotations_at_once_leave_one_password_that_works(self, attacked: Studio) -> None:
        agent = attacked.create("rotated-at-once")
        for _ in range(rounds(2, 20)):
            beside = [threading.Thread(target=attacked.rotate, args=[agent]) for _ in range(3)]
            for one in beside:
                one.start()
            for one in beside:
                one.join()
            psycopg.connect(attacked.dsn(agent.id)).close()


def inside(studio: Studio, agent: ServedAgent, but: psycopg.Connection[Any]) -> list[tuple[int]]:
    return studio.sql(
        "select pid from pg_stat_activity where usename = %s and pid <> %s", role_of(agent), but.info.backend_pid
    )


class TestAKilledRotation:
    def test_the_agent_is_let_in_again(self, attacked: Studio) -> None:
        agent = attacked.create("left-out")
        attacked.sql(f"alter role {role_of(agent)} nologin")
        until(lambda: can_log_in(agent.dsn), 30)

    def test_a_password_that_is_stored_and_not_set_is_set(self, attacked: Studio) -> None:
        """Who comes in late with an old password may have set his own: the studio's is put back."""
        agent = attacked.create("set-late")
        with psycopg.connect(agent.dsn, autocommit=True) as session:
            session.execute("alter role current_user password 'mine'")
            attacked.sql("update studio_databaserole set admitted_at = clock_timestamp() where agent_id = %s", agent.id)
            until(lambda: can_log_in(agent.dsn), 10)
            with pytest.raises(psycopg.OperationalError):
                session.execute("select 1")
        assert not can_log_in(dsn_with(agent, "mine"))


def can_log_in(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


class TestUpgrade:
    def test_no_lock_that_an_agent_may_take_stops_it(self, attacked: Studio, agent: ServedAgent) -> None:
        last = f"(select max(name) from {agent.schema}.django_migrations where app = 'memory')"
        with holding(agent, "begin", "lock table agno_sessions, agno_runs in access exclusive mode"):
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
