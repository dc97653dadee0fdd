"""An agent's session that takes what belongs to everybody: it is ended, and everybody else gets in."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from django.conf import settings

from studio import postgres
from studio.postgres.dsn import NAME
from tests.rounds import rounds
from tests.safety.held import FOREVER, held, holding, is_ended
from tests.safety.roles import Studio, insert_thread, role_of
from tests.server import ServedAgent, StudioServer, serving
from tests.studio.serve.running import passable, until

# what the studio allows here, so that a test need not wait for two minutes
SECONDS = 5
# the time in which everybody else must get in, while the machine is busy with other tests
AT_ONCE = 3 * 3
NESTED = "savepoint s; insert into agno_schema_versions values ('{0}', 'x', 'x');"
SAVEPOINTS = "begin;" + "".join(map(NESTED.format, range(24_500))) + "select pg_sleep(600)"
GREED = {
    "savepoints": SAVEPOINTS,
    "advisory": "select pg_advisory_lock(n) from generate_series(1, 1000000) n; select pg_sleep(600)",
    # an error would end the transaction
    "advisory of a transaction": "select pg_advisory_xact_lock(n) from generate_series(1, 20000) n;"
    " select pg_sleep(600)",
    "advisory shared": "select pg_advisory_lock_shared(n, 1) from generate_series(1, 1000000) n",
    "advisory and fewer": "select pg_advisory_lock(n) from generate_series(1, 5000) n",
}
PATIENCE = {
    "idle": ["begin", "select count(*) from agno_sessions"],
    "asleep": ["select pg_sleep(600)"],
    "an old snapshot": ["begin isolation level repeatable read", "select count(*) from agno_sessions"],
    "an open cursor": ["begin", "declare c cursor for select 1", "fetch c"],
    "a listener that does not listen": ["listen x", "begin", "select 1"],
    "computing": ["do $$ begin loop perform 1; end loop; end $$"],
    "asleep again and again": ["begin", "do $$ begin loop perform pg_sleep(0.1); end loop; end $$"],
}


@pytest.fixture(scope="module")
def watched() -> Iterator[Studio]:
    """A studio whose server lets everybody take advisory locks, as most do; no other test has it."""
    more = {"AGENT_TRANSACTION_SECONDS": str(SECONDS), "API_REQUESTS_PER_MINUTE": "100000", "WEB_THREADS": "4"}
    with passable() as place, serving("", place / "var", **more) as server:
        with psycopg.connect(superuser_of(server), autocommit=True) as superuser:
            superuser.execute("grant execute on all functions in schema pg_catalog to public")
        key = server.manage("api_key", "create", "--name", "roles", "--scope", "admin", "--scope", "threads:read")
        headers = {"x-api-key": key.splitlines()[-1]}
        with httpx.Client(base_url=f"{server.url}/api", headers=headers, timeout=60) as api:
            yield Studio(server, server.client(), api)


def superuser_of(server: StudioServer) -> str:
    """The DSN of the superuser of the studio's own server."""
    parts = postgres.superuser_parts(Path(server.env["DATA_DIR"]))
    return psycopg.conninfo.make_conninfo(postgres.url(parts), dbname=NAME)


@pytest.fixture(scope="module")
def hostile(watched: Studio) -> ServedAgent:
    return watched.create("hostile")


@pytest.fixture(scope="module")
def peaceful(watched: Studio) -> ServedAgent:
    return watched.create("peaceful")


def everybody_else_gets_in(studio: Studio, agent: ServedAgent, text: str) -> None:
    """An admin signs in and saves, and another agent writes."""
    with psycopg.connect(agent.dsn, autocommit=True, connect_timeout=AT_ONCE) as session:
        session.execute("insert into agno_schema_versions values (%s, 'x', 'x')", [text])
    assert studio.browser.get("/agents/").status_code == 200
    studio.edit(agent, description=text)


def events(studio: Studio, agent: ServedAgent) -> list[tuple[str, dict[str, int]]]:
    return [
        (reason, data["counts"])
        for reason, data in studio.sql(
            "select object, data from studio_auditevent"
            " where action = 'database.end_sessions' and agent_id = %s order by id",
            agent.id,
        )
    ]


def locks_of(studio: Studio, agent: ServedAgent) -> int:
    """Count the locks of all sessions of an agent."""
    query = "select count(*)::int from pg_locks join pg_stat_activity using (pid) where usename = %s"
    ((count,),) = studio.sql(query, role_of(agent))
    return int(count)


class TestLocks:
    @pytest.mark.parametrize("greed", GREED)
    def test_who_holds_too_many_is_ended(self, watched: Studio, peaceful: ServedAgent, greed: str) -> None:
        # one of its own, as the log says at most once a minute why an agent's sessions were ended
        agent = watched.create(greed.replace(" ", "-"))
        with holding(agent, GREED[greed]) as session:
            until(lambda: tries(watched, peaceful, greed), AT_ONCE)
            until(lambda: is_ended(watched, session), AT_ONCE)
            everybody_else_gets_in(watched, peaceful, f"{greed} again")
        until(lambda: events(watched, agent), AT_ONCE)
        assert [reason for reason, _ in events(watched, agent)] == ["held too many locks"]

    def test_who_holds_up_another_agent_is_ended(self, watched: Studio, peaceful: ServedAgent) -> None:
        """Agno takes locks by numbers that are everybody's."""
        agent = watched.create("in-the-way")
        with holding(agent, "begin; select pg_advisory_xact_lock(1, 2); select pg_sleep(600)") as session:
            until(lambda: locks_of(watched, agent) > 1, AT_ONCE)
            with psycopg.connect(peaceful.dsn) as other:
                other.execute(f"set statement_timeout = '{AT_ONCE}s'")
                other.execute("select pg_advisory_xact_lock(1, 2)")
            until(lambda: is_ended(watched, session), AT_ONCE)
        until(lambda: events(watched, agent), AT_ONCE)
        assert [reason for reason, _ in events(watched, agent)] == ["held up the studio or another agent"]

    def test_who_takes_them_in_many_sessions_is_ended(
        self, watched: Studio, hostile: ServedAgent, peaceful: ServedAgent
    ) -> None:
        """Each holds less than an agent may."""
        with contextlib.ExitStack() as stack:
            share = "select pg_advisory_lock(n) from generate_series({0} * 1000 + 1, {0} * 1000 + 900) n"
            sessions = [stack.enter_context(holding(hostile, share.format(n))) for n in range(1, 19)]
            until(lambda: any(is_ended(watched, session) for session in sessions), AT_ONCE)
            until(lambda: locks_of(watched, hostile) <= settings.AGENT_LOCK_LIMIT, AT_ONCE)
            everybody_else_gets_in(watched, peaceful, "many sessions")

    @pytest.mark.attack
    def test_an_agent_at_work_is_left_alone(self, watched: Studio, peaceful: ServedAgent) -> None:
        with psycopg.connect(peaceful.dsn) as session:
            for number in range(rounds(20, 200)):
                insert_thread(session, f"at-work-{number}")
                session.execute("update agno_sessions set updated_at = 1")
                session.execute("select * from agno_sessions left join agno_runs using (session_id)")
                session.commit()
            session.execute("select * from agno_sessions left join agno_runs using (session_id)")
            time.sleep(1)
            session.commit()
        assert events(watched, peaceful) == []

    @pytest.mark.attack
    def test_whoever_repeats_it_does_not_fill_the_audit_log(self, watched: Studio) -> None:
        agent = watched.create("repeats")
        for _ in range(rounds(4, 20)):
            with holding(agent, "select pg_advisory_lock(n) from generate_series(1, 5000) n") as session:
                until(lambda session=session: is_ended(watched, session), AT_ONCE)
        until(lambda: events(watched, agent), AT_ONCE)
        ((reason, counts),) = events(watched, agent)
        assert reason == "held too many locks"
        assert counts["sessions"] >= 1
        assert counts["locks"] > settings.AGENT_LOCK_LIMIT


def tries(studio: Studio, agent: ServedAgent, text: str) -> bool:
    """Tell whether everybody else got in; while an attack goes on they may be refused for a moment."""
    try:
        everybody_else_gets_in(studio, agent, text)
    except (AssertionError, StopIteration, psycopg.Error):
        return False
    return True


class TestTransactions:
    @pytest.mark.parametrize("patience", PATIENCE)
    def test_one_that_does_not_end_is_ended(self, watched: Studio, hostile: ServedAgent, patience: str) -> None:
        with holding(hostile, *PATIENCE[patience]) as session:
            until(lambda: is_ended(watched, session), SECONDS + AT_ONCE)
        until(lambda: "held a transaction open for too long" in dict(events(watched, hostile)), AT_ONCE)

    def test_a_session_without_one_goes_on(self, watched: Studio, peaceful: ServedAgent) -> None:
        with psycopg.connect(peaceful.dsn, autocommit=True) as session:
            session.execute("select count(*) from agno_sessions")
            time.sleep(SECONDS + 1)
            assert session.execute("select 1").fetchone() == (1,)

    def test_only_agents_are_ended(self, watched: Studio) -> None:
        with psycopg.connect(watched.server.dsn) as mine, psycopg.connect(superuser_of(watched.server)) as other:
            for session in (mine, other):
                session.execute("select 1")
            time.sleep(SECONDS + 1)
            for session in (mine, other):
                assert session.execute("select 1").fetchone() == (1,)


class TestPages:
    @pytest.mark.parametrize("mode", ["access exclusive", "exclusive", "share row exclusive"])
    def test_they_are_readable_whatever_an_agent_locks(self, watched: Studio, mode: str) -> None:
        hostile = watched.create(mode.replace(" ", "-"))
        lock = f"lock table agno_sessions, agno_runs in {mode} mode"
        for path in ("threads", "memory", "users"):
            with held(hostile, lock):
                answer = watched.browser.get(f"/agents/{hostile.id}/{path}/")
                assert answer.status_code == 200, path
        with held(hostile, lock):
            assert watched.api.get(f"/agents/{hostile.id}/threads").status_code == 200

    def test_a_transcript_is_readable_when_its_tables_are_locked(self, watched: Studio) -> None:
        hostile = watched.create("locks-transcripts")
        with psycopg.connect(hostile.dsn, autocommit=True) as session:
            insert_thread(session, "t")
        watched.fold(hostile.schema)
        for table in ("agno_sessions", "agno_runs"):
            with held(hostile, f"lock table {table} in access exclusive mode"):
                assert watched.browser.get(f"/agents/{hostile.id}/threads/t/").status_code == 200, table
            with held(hostile, f"lock table {table} in access exclusive mode"):
                assert watched.api.get(f"/agents/{hostile.id}/threads/t").status_code == 200, table
        until(lambda: events(watched, hostile), AT_ONCE)
        assert [reason for reason, _ in events(watched, hostile)] == ["held up the studio or another agent"]

    @pytest.mark.attack
    def test_many_that_lock_at_once_do_not_stop_them(self, watched: Studio, hostile: ServedAgent) -> None:
        stop = threading.Event()
        attackers = [threading.Thread(target=lock_forever, args=[hostile.dsn, stop]) for _ in range(rounds(6, 18))]
        for attacker in attackers:
            attacker.start()
        try:
            until(lambda: watched.sql("select 1 from pg_locks where mode = 'AccessExclusiveLock' and granted"))
            for _ in range(rounds(3, 10)):
                assert watched.browser.get(f"/agents/{hostile.id}/threads/").status_code == 200
        finally:
            stop.set()
            watched.end_sessions(hostile)
            for attacker in attackers:
                attacker.join()


def lock_forever(dsn: str, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(psycopg.Error), psycopg.connect(dsn, connect_timeout=5) as session:
            session.execute(FOREVER)
            session.execute("lock table agno_sessions in access exclusive mode")
            session.execute("select pg_sleep(600)")
