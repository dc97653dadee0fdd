"""The studio that runs on a DATA_DIR, as commands beside it find it, and how a command is written for people."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from studio import secret_key
from studio.become import become
from studio.postgres.home import owner
from studio.postgres.kept_files import StartFailure, locked, replace

ROOT: Final = Path(__file__).resolve().parent.parent
DEFAULT_DATA_DIR: Final = ROOT / "var"
MANAGE: Final = ".venv/bin/python manage.py"

# of the running studio, in its own process and in no file
_SECRETS: Final = ("DATABASE_URL", "SECRET_KEY", "SECRET_KEY_FALLBACKS")
_LEFT: Final = "running.json"
_LOCK: Final = "running.lock"
# commands hold it for moments
_LOCK_SECONDS: Final = 10
_WITHOUT_DATABASE: Final = "history_check"
_UNDEFINED_TABLE: Final = "42P01"


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or DEFAULT_DATA_DIR).absolute()


def command(text: str) -> str:
    """Write a command as it works in another terminal, in the directory of this checkout."""
    where = data_dir()
    elsewhere = f"DATA_DIR={shlex.quote(str(where))} " if where != DEFAULT_DATA_DIR else ""
    return f"{elsewhere}{MANAGE} {text}"


@contextmanager
def found_at(address: str, key: str = "") -> Iterator[None]:
    """Let commands beside this studio find it, its address, and which SECRET_KEY it has, until the block ends."""
    file = data_dir() / _LEFT
    # held by a studio that runs: what a killed one has left is not believed
    with locked(data_dir() / _LOCK, wait=_LOCK_SECONDS) as held:
        if not held:
            raise StartFailure(f"Another process holds {data_dir() / _LOCK}: end it, and start again.")
        left = {"address": address, "pid": os.getpid(), "bundled": not os.environ.get("DATABASE_URL")}
        left["key"] = secret_key.print_of(key)
        replace(file, json.dumps(left))
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def join() -> None:
    """Take address, database and key from the studio that runs here, unless this process was given another database."""
    left = _left_in(data_dir())
    if not left:
        return
    its = _started_with(left["pid"])
    if its is None and not left["bundled"] and "DATABASE_URL" not in os.environ:
        raise StartFailure("Set DATABASE_URL as the studio that runs here was started with.")
    database = (its or {}).get("DATABASE_URL", "")
    if os.environ.get("DATABASE_URL", database) != database:
        return
    found = {name: its[name] for name in _SECRETS if its and its.get(name)} | {"PUBLIC_URL": left["address"]}
    for name, value in found.items():
        # one that is set to nothing is not set, as in the settings
        os.environ[name] = os.environ.get(name) or value


def has_another_key(key: str) -> bool:
    """Tell whether a studio runs here that was started with another SECRET_KEY, or is just starting."""
    left = _left_in(data_dir())
    if left:
        return left.get("key") != secret_key.print_of(key)
    # held from the first moment of a start
    with locked(data_dir() / "serve.lock", wait=False, shared=True) as is_free:
        return not is_free


def _left_in(where: Path) -> dict[str, Any]:
    if not (where / _LEFT).exists():
        return {}
    # shared, so that two commands do not take each other for a studio
    with locked(where / _LOCK, shared=True) as is_free:
        try:
            return {} if is_free else dict(json.loads((where / _LEFT).read_text()))
        except FileNotFoundError:
            return {}


def _started_with(pid: int) -> dict[str, str] | None:
    """Return a process's variables, None where the system does not tell. So no password has to lie in a file."""
    try:
        stored = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="surrogateescape")
    except OSError:
        return None
    return dict(one.split("=", 1) for one in stored.split("\0") if "=" in one)


def run(arguments: list[str]) -> None:
    """Run a management command; a database that is not there ends it with one sentence."""
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    if arguments[1:2] != ["serve"]:
        # before the settings are read
        if arguments[1:2] != [_WITHOUT_DATABASE]:
            join()
        _as_its_user(data_dir())
    try:
        execute_from_command_line(arguments)
    except (OperationalError, ProgrammingError) as error:
        sentence = _sentence(error)
        if sentence is None or "--traceback" in arguments:
            raise
        raise StartFailure(sentence) from None


def _as_its_user(where: Path) -> None:
    """As root, go on as the studio's user: a file of root's would stop the studio."""
    if os.geteuid() == 0 and where.exists() and where.stat().st_uid:
        become(owner(where))


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
