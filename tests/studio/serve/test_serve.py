"""Starts and stops of the whole studio."""

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from studio import postgres
from tests.studio.serve.running import (
    MINE,
    First,
    ask,
    get,
    kill,
    launch,
    lives,
    open_port,
    postmaster,
    refused,
    running,
    stop,
    until,
)


def test_the_first_start_prints_a_link_that_works(first: First) -> None:
    said = first.studio.said()
    assert first.statuses[0] == 200, said
    assert first.statuses[1] >= 400
    assert first.studio.process.returncode == 0
    assert "Traceback" not in said
    own = [line.split()[0] for line in first.studio.lines if not line.startswith("20")]
    assert own == ["The", "Static", "Demo", "Open", "The", "Stopped."]


def test_the_first_start_adds_demo_agents_and_the_next_one_none(used: Path) -> None:
    with running(used, DEMO="1") as studio:
        assert ask(used, "select count(*) from studio_agent") == 4
        assert studio.lines[0].startswith("Open")


def test_a_later_start_is_quick_and_does_nothing_again(used: Path) -> None:
    began = time.monotonic()
    with running(used) as studio:
        took = time.monotonic() - began
        print(f"later start: {took:.1f} s")
        assert [line.partition(" ")[0] for line in studio.lines[:1]] == ["Open"]
    # Under 4 s on a machine that does nothing else; tests share theirs.
    assert took < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_web_and_database(used: Path, number: signal.Signals) -> None:
    with running(used) as studio:
        processes = [studio.web, *studio.web.children(), postmaster(used)]
        port = int(studio.url.rpartition(":")[2])
        assert stop(studio, number) == 0
    assert studio.lines[-1] == "Stopped."
    assert not any(lives(process) for process in processes)
    assert not open_port(port)
    assert not postgres.answers(used)


def test_a_studio_under_nohup_goes_on_when_its_terminal_closes(used: Path) -> None:
    with running(used, replace(MINE, hangup=signal.SIG_IGN)) as studio:
        studio.process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            studio.process.wait(2)
        assert get(studio.url) < 500
        assert ask(used, "select 1") == 1
        assert stop(studio) == 0


def test_a_studio_that_does_not_stop_is_killed_with_all_it_started(used: Path) -> None:
    """So that a test which fails leaves nothing to the next one."""
    with running(used) as studio:
        processes = [*studio.alive(), postmaster(used)]
        studio.process.send_signal(signal.SIGSTOP)
        with pytest.raises(AssertionError, match="still there"):
            stop(studio, seconds=1)
        until(lambda: not any(lives(process) for process in processes), 10)
    assert not postgres.answers(used)


@pytest.mark.parametrize("delay", [0.3, 0.8, 1.2, 1.8])
def test_a_signal_during_the_start_leaves_nothing_behind(used: Path, delay: float) -> None:
    studio = launch(used)
    time.sleep(delay)
    stop(studio, signal.SIGINT)
    assert not postgres.answers(used)
    assert "Traceback" not in studio.said() or "KeyboardInterrupt" in studio.said()


def test_a_second_one_on_the_same_data_says_so_and_leaves_the_first_alone(used: Path) -> None:
    with running(used) as studio:
        assert f"A studio runs on {used} already" in refused(used)
        assert get(studio.url) < 500


def test_a_start_after_everything_was_killed_has_lost_nothing(used: Path) -> None:
    with running(used) as studio:
        ask(used, "create table kept (n int)")
        ask(used, "insert into kept values (42)")
        kill(psutil.Process(studio.process.pid), studio.web, postmaster(used))
    with running(used) as studio:
        assert ask(used, "select n from kept") == 42
        assert get(studio.url) < 500


def test_a_killed_launcher_takes_its_web_server_along(used: Path) -> None:
    with running(used) as studio:
        web = studio.web
        studio.process.kill()
        until(lambda: not lives(web), 15)
        # The database is still there, and the next start takes it over.
        assert postgres.answers(used)
        with running(used):
            pass
        assert not postgres.answers(used)


def test_the_studio_stops_when_its_web_server_dies(used: Path) -> None:
    with running(used) as studio:
        kill(studio.web)
        assert studio.process.wait(20) == 1
    assert "The web server ended" in studio.lines[-1]
    assert not postgres.answers(used)


def test_the_database_is_started_again_when_it_dies(used: Path) -> None:
    with running(used) as studio:
        before = postmaster(used)
        began = time.monotonic()
        kill(before)
        until(lambda: postgres.answers(used) and postmaster(used) != before, 30)
        print(f"database back after {time.monotonic() - began:.1f} s")
        until(lambda: get(studio.url) < 500, 10)


def test_a_second_terminal_needs_no_variables_but_the_place(used: Path) -> None:
    with running(used):
        assert ask(used, "select current_user || ' ' || rolsuper from pg_roles where rolname = current_user") == (
            "studio false"
        )
    assert os.environ["DATABASE_URL"] != postgres.dsn(used)
