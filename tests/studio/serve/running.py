"""Starting the studio as a person does, and ending only processes that were started here."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from studio import postgres
from studio.postgres.home import Identity

ROOT = Path(__file__).resolve().parents[3]
READY_SECONDS = 60
# Longer than the studio itself waits: 15 s for the web server, and 60 s for the database's checkpoint on a slow disk.
STOP_SECONDS = 90


@dataclass(frozen=True)
class Checkout:
    """The Python that runs the studio, the copy of the studio, and the user."""

    python: str = sys.executable
    root: Path = ROOT
    variables: dict[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=lambda: Identity())
    # Ignored under nohup.
    hangup: signal.Handlers = signal.SIG_DFL

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
            preexec_fn=self._hear,
            **self.identity,
        )

    def _hear(self) -> None:
        """Handle signals that the tests' own process may ignore: SIGHUP under nohup, SIGINT in the background."""
        signal.signal(signal.SIGHUP, self.hangup)
        signal.signal(signal.SIGINT, signal.SIG_DFL)


MINE = Checkout()


@dataclass
class Studio:
    """A started studio and its output."""

    process: subprocess.Popen[str]
    data_dir: Path
    lines: list[str] = field(default_factory=list)
    # What was seen of it, for when its first process is gone and cannot be asked.
    seen: set[psutil.Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        STARTED.append(self)

    @property
    def link(self) -> str:
        return next(line.removeprefix("Open ") for line in self.lines if line.startswith("Open "))

    @property
    def url(self) -> str:
        return self.link.partition("/sign-in/")[0]

    @property
    def web(self) -> psutil.Process:
        """The web server's first process."""
        return next(p for p in psutil.Process(self.process.pid).children() if "gunicorn" in command(p))

    def said(self) -> str:
        return "\n".join(self.lines)

    def alive(self) -> list[psutil.Process]:
        """Its running processes: the first one, the others, the web server and the database."""
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            self.seen |= {first, *first.children(recursive=True)} if self.process.poll() is None else set()
        with suppress(psutil.NoSuchProcess, OSError, ValueError, IndexError):
            database = postmaster(self.data_dir)
            # a file that was left behind may name anybody
            self.seen |= {database} if str(postgres.locate(self.data_dir)) in command(database) else set()
        return [process for process in self.seen if lives(process)]


# Every studio of this run, to see at the end that nothing is left of any.
STARTED: list[Studio] = []


@dataclass(frozen=True)
class First:
    """The result of a first start."""

    data_dir: Path
    studio: Studio
    # Of the printed link, and of one that was made up.
    statuses: tuple[int, int]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """Return the variables of a start on a free port, without those of the test run."""
    without = ("DATABASE_URL", "DJANGO_", "POSTGRES_BIN", "PYTEST", "TEST_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(without)}
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
        studio.alive()
        yield studio
    finally:
        try:
            stop(studio)
        finally:
            kill(*studio.alive())


def stop(studio: Studio, number: signal.Signals = signal.SIGTERM, seconds: float = STOP_SECONDS) -> int:
    """Send a signal and return the exit code; a process that does not end in time is killed, and the test fails."""
    if studio.process.poll() is None:
        studio.process.send_signal(number)
    try:
        return studio.process.wait(seconds)
    except subprocess.TimeoutExpired:
        left = studio.alive()
        commands = [command(process) for process in left]
        kill(*left)
        studio.process.wait()
        raise AssertionError(f"still there {seconds} s after {number.name}: {commands}\n{studio.said()}") from None


def refused(data_dir: Path, checkout: Checkout = MINE, **more: str) -> str:
    """Start a studio that must fail, and return its message, which is one sentence without a traceback."""
    process = checkout.start(data_dir, **more)
    try:
        said = process.communicate(timeout=READY_SECONDS)[0].strip()
    finally:
        # One that did start, against all expectation.
        stop(Studio(process, data_dir))
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
    """Wait until a condition is true that other processes make true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.05)


def open_port(port: int) -> bool:
    """Tell whether a server listens."""
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


def lives(process: psutil.Process) -> bool:
    """Tell whether a process still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left(spared: Collection[int]) -> list[psutil.Process]:
    """List the processes that this one, or a studio that it started, left running, except for `spared`."""
    children = [child for child in psutil.Process().children() if child.pid not in spared]
    families = {member for child in children for member in (child, *child.children(recursive=True))}
    return [process for process in families.union(*(studio.alive() for studio in STARTED)) if lives(process)]


def command(process: psutil.Process) -> str:
    """Return the command line of a process, empty for one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@contextmanager
def passable(within: str | None = None) -> Iterator[Path]:
    """Make an empty directory that the database's user may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="studio-launch-", dir=within))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def copied(data_dir: Path, target: Path) -> Path:
    """Copy a DATA_DIR whose studio has stopped, with the owners of its files."""
    subprocess.run(["cp", "-a", data_dir, target], check=True)
    return target


def kill(*processes: psutil.Process) -> None:
    """End processes and their children at once, as a crash would."""
    family = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=10)


def _listen(studio: Studio) -> None:
    assert studio.process.stdout is not None
    for line in studio.process.stdout:
        studio.lines.append(line.rstrip("\n"))
