"""Running the programs of a Postgres as its user; what they say goes into a file."""

import json
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


def log_sizes(home: Path) -> dict[Path, int]:
    """Return the files of the server's own log, and how long they are."""
    return {file: file.stat().st_size for file in (home / "log").glob("postgres-*")}


def said(home: Path, before: Mapping[Path, int]) -> str:
    """Return what the server said since its log was as `before`: first to whoever started it, then to its own log."""
    parts = [(home / "start.log").read_bytes()]
    parts += [_from(file, before.get(file, 0)) for file in sorted(log_sizes(home))]
    return b"\n".join(parts).decode(errors="replace")


def why(home: Path, before: Mapping[Path, int]) -> str:
    """Return the last error that ended it, else the last thing that it said."""
    lines = [line for line in said(home, before).splitlines() if line.strip()]
    fatal = [line for line in lines if _is_fatal(line)]
    return _message((fatal or lines)[-1]) if lines else "it said nothing"


def _from(file: Path, start: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read()


def _is_fatal(line: str) -> bool:
    """Tell whether a line of the log, which is JSON, says what ended the server; to clients it says other things."""
    try:
        said = json.loads(line)
        return said["error_severity"] in ("FATAL", "PANIC") and said["backend_type"] in ("postmaster", "startup")
    except (ValueError, KeyError, TypeError):
        return False


def _message(line: str) -> str:
    """Return the text of a line of the log, which is JSON."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line
