"""Start the studio as a person would, and end only what was started here."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from studio import postgres
from studio.postgres.home import Identity

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60


@dataclass(frozen=True)
class Checkout:
    """Which Python runs which copy of the studio, and as whom."""

    python: str = sys.executable
    root: Path = ROOT
    variables: dict[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=lambda: Identity())

    def start(self, data_dir: Path, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, "manage.py", "serve"],
            cwd=self.root,
            env=environment(data_dir, **self.variables, **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **self.identity,
        )


MINE = Checkout()


@dataclass
class Studio:
    """A started studio and what it said."""

    process: subprocess.Popen[str]
    data_dir: Path
    lines: list[str] = field(default_factory=list)

    @property
    def link(self) -> str:
        return next(line.removeprefix("Open ") for line in self.lines if line.startswith("Open "))

    @property
    def url(self) -> str:
        return self.link.partition("/sign-in/")[0]

    @property
    def web(self) -> psutil.Process:
        """The web server's first process."""
        return next(p for p in psutil.Process(self.process.pid).children() if "gunicorn" in _command(p))

    def said(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class First:
    """What a first start left behind."""

    data_dir: Path
    studio: Studio
    # Of the printed link, and of one that was made up.
    statuses: tuple[int, int]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """Return the variables of a start on a free port, without those of the test run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_URL", "DJANGO_", "PYTEST", "TEST_"))}
    return {**kept, "DATA_DIR": str(data_dir), "PORT": "0", "DEMO": "0", **more}


def launch(data_dir: Path, checkout: Checkout = MINE, **more: str) -> Studio:
    """Start a studio without waiting for it."""
    studio = Studio(checkout.start(data_dir, **more), data_dir)
    threading.Thread(target=_listen, args=[studio], daemon=True).start()
    return studio


@contextmanager
def running(data_dir: Path, checkout: Checkout = MINE, **more: str) -> Iterator[Studio]:
    """Start a studio, wait until it printed its link, and stop it at the end."""
    studio = launch(data_dir, checkout, **more)
    try:
        until(lambda: studio.process.poll() is not None or any(s.startswith("Open ") for s in studio.lines))
        assert studio.process.poll() is None, studio.said()
        yield studio
    finally:
        stop(studio)


def stop(studio: Studio, number: signal.Signals = signal.SIGTERM) -> int:
    """Send a signal and return the exit code."""
    if studio.process.poll() is None:
        studio.process.send_signal(number)
    return studio.process.wait(READY_SECONDS)


def refused(data_dir: Path, checkout: Checkout = MINE, **more: str) -> str:
    """Start a studio that must give up, and return what it said: one sentence, no traceback."""
    process = checkout.start(data_dir, **more)
    try:
        said = process.communicate(timeout=READY_SECONDS)[0].strip()
    finally:
        # One that did start, against all expectation.
        process.terminate()
    assert process.returncode == 1, said
    assert "Traceback" not in said, said
    assert len(said.splitlines()) == 1, said
    return said


def get(url: str) -> int:
    """Fetch a page, following redirects, and return the status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def until(condition: Callable[[], object], seconds: float = READY_SECONDS) -> None:
    """Wait for something that other processes bring about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.05)


def open_port(port: int) -> bool:
    """Tell whether something listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(data_dir: Path, query: str) -> object:
    """Ask the bundled database for one value, as the studio's role."""
    with psycopg.connect(postgres.dsn(data_dir)) as connection:
        cursor = connection.execute(query)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def postmaster(data_dir: Path) -> psutil.Process:
    """Return the bundled server's first process."""
    pid_file = postgres.locate(data_dir) / "data" / "postmaster.pid"
    return psutil.Process(int(pid_file.read_text().splitlines()[0]))


def _command(process: psutil.Process) -> str:
    """Its command line; empty for one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def kill(*processes: psutil.Process) -> None:
    """End processes and their children at once, as a crash would."""
    family = [member for process in processes for member in (process, *process.children(recursive=True))]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=10)


def _listen(studio: Studio) -> None:
    assert studio.process.stdout is not None
    for line in studio.process.stdout:
        studio.lines.append(line.rstrip("\n"))
