"""A disk that fills up: agents stop writing before the studio must, people are told, and deleting makes no trouble."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import errors

from studio import postgres
from tests.markup import Page
from tests.safety.faults import Breakable, breakable
from tests.studio.serve.running import until

SIZE = 400 << 20
DSN = "from studio.agents import connection; from studio.audit.record import Actor; from studio.models import Agent;"
DSN += "print(connection.reveal(Actor.system(), Agent.objects.get(pk='frail')))"
LIFTS = [
    "set default_transaction_read_only = off",
    "reset all",
    "alter role current_user reset all",
    "grant insert on agno_sessions to current_user",
    "set role studio",
    "delete from public.studio_refusedwrites",
]
WRITE = "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', 1)"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which only root may")


@pytest.fixture
def thing() -> Iterator[Breakable]:
    # below no closed directory: the database's user must reach it, or the cluster would lie elsewhere
    small = Path(tempfile.mkdtemp(prefix="full-", dir="/var/tmp"))
    small.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", small], check=True)
    try:
        with breakable(small / "data") as thing:
            assert postgres.locate(thing.data_dir).is_relative_to(small)
            thing.create_agent("frail")
            thing.fill("ag_frail", 40)
            yield thing
    finally:
        subprocess.run(["umount", "-l", small], check=True)
        small.rmdir()


def fill(place: Path, share: float) -> Path:
    """Take that share of the disk."""
    ballast = place / "ballast"
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(free - SIZE * (1 - share)))
    return ballast


def test_agents_stop_writing_and_the_studio_goes_on(thing: Breakable) -> None:
    dsn = thing.manage("shell", "--no-imports", "--command", DSN).strip()
    with psycopg.connect(dsn, autocommit=True) as agent, httpx.Client(base_url=thing.studio.url) as browser:
        page = browser.get(thing.studio.link)
        Page(page.text).forms[0].send(browser, page)
        agent.execute(WRITE, ["before"])
        assert (browser.get("/health/ready").status_code, browser.get("/health").status_code) == (200, 200)

        ballast = fill(thing.data_dir, 0.96)
        until(lambda: is_refused(agent), 20)
        for lift in LIFTS:
            with suppress(psycopg.Error):
                agent.execute(lift)
        for statement in (WRITE, "update agno_sessions set user_id = %s"):
            with pytest.raises(errors.InsufficientPrivilege):
                agent.execute(statement, ["x"])
        with psycopg.connect(dsn) as another, pytest.raises(errors.InsufficientPrivilege):
            another.execute(WRITE, ["again"])

        ready = browser.get("/health/ready")
        assert ready.status_code == 503
        assert "The disk of the database is 9" in ready.json()["why"]
        assert browser.get("/health").status_code == 200
        assert "until there is, agents cannot write" in browser.get("/agents/").text
        # it reads and deletes, and so does the studio, which saves too
        assert agent.execute("delete from agno_sessions where session_id = 't2'").rowcount == 1
        assert thing.api("DELETE", "agents/frail/threads/t4").status_code == 204
        assert thing.api("PATCH", "agents/frail/memory", {"num_history_runs": 7}).status_code == 200

        ballast.unlink()
        until(lambda: not is_refused(agent), 20)
        assert browser.get("/health/ready").status_code == 200
        assert "agents cannot write" not in browser.get("/agents/").text
    actions = thing.sql("select action from studio_auditevent where action like 'agent.writes%' order by id")
    assert actions == [("agent.writes_refused",), ("agent.writes_allowed",)]
    thing.manage("audit", "verify")


def is_refused(agent: psycopg.Connection) -> bool:
    try:
        agent.execute(WRITE + " on conflict do nothing", ["probe"])
    except errors.InsufficientPrivilege:
        return True
    return False


def test_what_an_agent_writes_at_that_moment_is_ended(thing: Breakable) -> None:
    """A statement that began before its right was taken would go on, and fill the rest."""
    dsn = thing.manage("shell", "--no-imports", "--command", DSN).strip()
    with psycopg.connect(dsn, autocommit=True) as agent:
        agent.execute("set statement_timeout = 0")
        endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
        fill(thing.data_dir, 0.96)
        with pytest.raises(psycopg.OperationalError):
            agent.execute(endless)


def test_temporary_files_of_idle_sessions_go_too(thing: Breakable) -> None:
    """A cursor keeps one, takes no right to write, and is made again when the first ones are gone."""
    dsn = thing.manage("shell", "--no-imports", "--command", DSN).strip()
    hold = "declare c cursor with hold for select repeat('x', 1000) from generate_series(1, 5000)"
    ballast = fill(thing.data_dir, 0.96)
    for _ in range(2):
        with closing(psycopg.connect(dsn)) as agent:
            # it may be ended at once
            with suppress(errors.AdminShutdown):
                agent.execute("set work_mem = '64kB'")
                agent.execute(hold)
                agent.commit()
            until(lambda session=agent: is_over(session), 20)
    ballast.unlink()


def is_over(connection: psycopg.Connection) -> bool:
    """Tell whether the server has ended a session, without a statement that it would end."""
    try:
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return False
