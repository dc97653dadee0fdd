"""The studio on a Postgres of this machine in place of the bundled one."""

import os
import subprocess
import sys
from pathlib import Path

from tests.studio.postgres.machine import machine_server, stand_in
from tests.studio.serve.running import ROOT, environment, postmaster, refused, running


def test_the_studio_runs_on_a_server_of_this_machine(fresh: Path) -> None:
    """Its tables, its triggers and the demo too, whatever version that is."""
    with machine_server() as programs:
        with running(fresh, POSTGRES_BIN=str(programs), DEMO="1") as studio:
            assert studio.lines[0].startswith("The database is Postgres ")
            assert f" of {programs}, " in studio.lines[0]
            assert Path(postmaster(fresh).exe()).parent == programs.resolve()
            check = [sys.executable, "manage.py", "thread_index", "check"]
            done = subprocess.run(check, cwd=ROOT, env=environment(fresh), capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        # the next start finds it without being told
        with running(fresh) as studio:
            assert studio.lines[0].startswith("The database is Postgres ")


def test_a_server_that_does_not_suit_ends_the_start_with_a_sentence(place: Path) -> None:
    path = stand_in(place / "bin", "14.9")
    said = refused(place / "var", POSTGRES_BIN=str(path))
    assert said.startswith(f"POSTGRES_BIN={path} is Postgres 14.9, and the studio needs 15 or newer:")
    assert not os.path.exists(place / "var" / "postgres" / "data")
