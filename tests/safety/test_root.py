"""Root may start the studio, and nothing of it runs as root."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from studio.postgres.home import server_account
from tests.server import new_database
from tests.studio.serve.running import MINE, ROOT, Studio, environment, get, passable, running

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as root")


def uids(process: psutil.Process) -> set[int]:
    """Real, effective, saved and file system user of a process, as the kernel says."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {int(one) for line in lines if line.startswith("Uid:") for one in line.split()[1:]}


def groups(process: psutil.Process) -> set[int]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {int(one) for line in lines if line.startswith(("Gid:", "Groups:")) for one in line.split()[1:]}


def low_port() -> int:
    """Find a free port that only root may listen on."""
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no free port below 1024")


@pytest.fixture(params=["bundled", "own"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Path, dict[str, str]]]:
    """A DATA_DIR with files that an earlier release left as root's, for the bundled database or another one."""
    with passable() as place, new_database() as dsn:
        data_dir = place / "var"
        data_dir.mkdir(mode=0o755)
        (data_dir / "secret_key").write_text("k" * 50)
        (data_dir / "secret_key").chmod(0o644)
        (data_dir / "audit-head.lock").touch(0o644)
        (data_dir / "running.lock").touch(0o666)
        yield data_dir, {"DATABASE_URL": dsn} if request.param == "own" else {}


def test_all_of_it_runs_as_the_databases_user(place: tuple[Path, dict[str, str]]) -> None:
    data_dir, more = place
    user = server_account()
    for _ in range(2):
        with running(data_dir, **more, PORT=str(low_port())) as studio:
            processes = studio.alive()
            # the studio, the web server, two workers, and the database's
            assert len(processes) >= 4
            for process in processes:
                assert uids(process) == {user.uid}, process
                assert groups(process) == {user.gid}, process
            assert get(studio.link) == 200
            beside(studio, data_dir, more)
            assert get(studio.url + "/health") == 200
        assert {path.lstat().st_uid for path in data_dir.iterdir()} == {user.uid}
        assert {stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir() if path.is_file()} == {0o600}
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def beside(studio: Studio, data_dir: Path, more: dict[str, str]) -> None:
    """Run commands as root, which must not leave files that stop the studio."""
    (data_dir / "audit-head").unlink(missing_ok=True)
    env = environment(data_dir, **more)
    for command in (["sign_in_link"], ["audit", "verify"], ["thread_index", "check"]):
        done = subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert (data_dir / "audit-head").stat().st_uid == server_account().uid
    # writes events, and so the head
    assert get(studio.link) in (200, 404, 410)
    assert "not written down" not in studio.said()


def test_it_says_so_where_it_must_stay_root(tmp_path: Path) -> None:
    """That user may not enter pytest's directory."""
    with new_database() as dsn, running(tmp_path / "var", DATABASE_URL=dsn) as studio:
        assert "The studio runs as root, because" in studio.said()
        assert uids(studio.web) == {0}
        assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600


def test_another_owner_of_the_place_is_whom_it_runs_as(tmp_path: Path) -> None:
    with passable() as place, new_database() as dsn:
        data_dir = place / "var"
        data_dir.mkdir()
        os.chown(data_dir, 65534, 65534)
        with running(data_dir, DATABASE_URL=dsn) as studio:
            assert uids(studio.web) == {65534}


def test_a_directory_of_everybody_is_refused() -> None:
    with passable() as place:
        place.chmod(0o1777)
        done = MINE.start(place, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none").communicate(timeout=60)[0]
        assert "set DATA_DIR to a directory of the studio's own" in done
