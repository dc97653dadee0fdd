"""Running the programs of a Postgres as its user; what they say goes into a file."""

from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL, Popen

from studio.postgres.binaries import ENVIRONMENT, Programs
from studio.postgres.home import Account, identity


def spawn(home: Path, user: Account | None, programs: Programs, settings: Mapping[str, str]) -> Popen[bytes]:
    """Start the server without waiting for it."""
    options = [f"--{name}={value}" for name, value in settings.items()]
    with (home / "start.log").open("wb") as log:
        return Popen(
            [programs.directory / "postgres", "-D", home / "data", *options],
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home,
            env=ENVIRONMENT,
            # Ctrl-C in the terminal must not reach the server: the studio stops it when its requests are done.
            start_new_session=True,
            **identity(user),
        )


def run(command: list[str | Path], home: Path, user: Account | None, log_name: str) -> int:
    """Run a program to its end and return its exit code; what it says is in the file `log_name`."""
    # Into a file, because a pipe would stay open until a server that the program starts has ended.
    with (home / log_name).open("wb") as log:
        process = Popen(command, stdin=DEVNULL, stdout=log, stderr=log, cwd=home, env=ENVIRONMENT, **identity(user))
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def said(home: Path) -> str:
    """Return what the server said when it was started."""
    return (home / "start.log").read_text(errors="replace")


def last_line(home: Path) -> str:
    lines = [line for line in said(home).splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
