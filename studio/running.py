"""The studio that runs on a DATA_DIR, as commands beside it find it, and how a command is written for people."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from studio.postgres.kept_files import StartFailure, locked, replace

ROOT: Final = Path(__file__).resolve().parent.parent
DEFAULT_DATA_DIR: Final = ROOT / "var"
MANAGE: Final = ".venv/bin/python manage.py"

_LEFT: Final = "running.json"
_LOCK: Final = "running.lock"
_UNDEFINED_TABLE: Final = "42P01"


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or DEFAULT_DATA_DIR).absolute()


def command(text: str) -> str:
    """Write a command as it works in another terminal, in the directory of this checkout."""
    where = data_dir()
    elsewhere = f"DATA_DIR={shlex.quote(str(where))} " if where != DEFAULT_DATA_DIR else ""
    return f"{elsewhere}{MANAGE} {text}"


@contextmanager
def found_at(address: str) -> Iterator[None]:
    """Let commands beside this studio find its address and its database until the block ends."""
    left = {"PUBLIC_URL": address, "DATABASE_URL": os.environ.get("DATABASE_URL", "")}
    file = data_dir() / _LEFT
    # held by a studio that runs: what a killed one has left is not believed
    with locked(data_dir() / _LOCK, wait=True):
        replace(file, json.dumps(left))
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def join() -> None:
    """Take address and database from the studio that runs here, unless this process was given another database."""
    left = _left_in(data_dir())
    database = left.get("DATABASE_URL", "")
    if os.environ.get("DATABASE_URL", database) == database:
        for name, value in left.items():
            os.environ.setdefault(name, value)


def _left_in(where: Path) -> dict[str, str]:
    if not (where / _LEFT).exists():
        return {}
    with locked(where / _LOCK, wait=False) as is_free:
        try:
            return {} if is_free else dict(json.loads((where / _LEFT).read_text()))
        except FileNotFoundError:
            return {}


def run(arguments: list[str]) -> None:
    """Run a management command; a database that is not there ends it with one sentence."""
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    if arguments[1:2] != ["serve"]:
        # before the settings are read
        join()
    try:
        execute_from_command_line(arguments)
    except (OperationalError, ProgrammingError) as error:
        sentence = _sentence(error)
        if sentence is None or "--traceback" in arguments:
            raise
        raise StartFailure(sentence) from None


def _sentence(error: Exception) -> str | None:
    """Say what to do about an error of the database; None if it is not about a database that is missing."""
    state = getattr(error.__cause__, "sqlstate", None)
    said = " ".join(str(error).split())
    if state == _UNDEFINED_TABLE:
        return f"This database has no tables of the studio, or old ones: start the studio on it once ({said})."
    # Postgres gives every error of a statement a code
    if state is not None or not error.__cause__:
        return None
    if os.environ.get("DATABASE_URL"):
        return f"The database does not answer: {said} (check DATABASE_URL)."
    return (
        f"No studio runs on {data_dir()}: start it with make run and leave it running, "
        "or set DATA_DIR and DATABASE_URL as it was started with."
    )
