"""The directories of the bundled Postgres, and the user that it runs as."""

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from studio.postgres.kept_files import StartFailure

# With "/.s.PGSQL.65535" the path of a socket has at most 103 bytes on macOS, and 107 on Linux.
SOCKET_DIR_BYTES = 87


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


class Identity(TypedDict, total=False):
    """Arguments of subprocess that start a program as another user."""

    user: int
    group: int
    extra_groups: list[int]


def locate(data_dir: Path) -> Path:
    """Return the directory of the database: in data_dir, or in /var/lib if the server's user cannot enter data_dir."""
    # Postgres refuses to run as root, so root starts it as another user, who may not pass through the
    # parents of data_dir. Where a database exists, it stays.
    inside = data_dir.resolve() / "postgres"
    if os.geteuid() != 0 or (inside / "data").exists():
        return inside
    outside = Path("/var/lib") / f"agent-studio-{digest(data_dir.resolve())}"
    if (outside / "data").exists() or not reaches(server_account(), inside):
        return outside
    return inside


def account(home: Path) -> Account | None:
    """Return the user to run Postgres as, or None to run it as ourselves."""
    data = home / "data"
    owner = data.stat().st_uid if data.exists() else None
    me = os.geteuid()
    if me != 0:
        if owner not in (None, me):
            raise StartFailure(
                f"The database in {home} belongs to another user: start the studio as the one "
                "who made it, or set DATA_DIR to a directory of your own."
            )
        return None
    if owner is None:
        return server_account()
    if owner == 0:
        raise StartFailure(
            f"The database files in {data} belong to root, as whom Postgres does not run: "
            f"give them back with: chown -R {server_account().name} {data}"
        )
    return _account(pwd.getpwuid(owner))


def server_account() -> Account:
    """Return the user that root runs Postgres as."""
    for name in ("postgres", "nobody"):
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise StartFailure(
        "Postgres does not run as root and there is no user postgres or nobody: "
        "start the studio as an ordinary user, or set DATABASE_URL."
    )


def owner(path: Path) -> Account:
    """Return whose a directory is; root's is for the database's user."""
    uid = path.stat().st_uid
    return server_account() if uid == 0 else _account(pwd.getpwuid(uid))


def identity(user: Account | None) -> Identity:
    """Return what subprocess needs to start a program as that user."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


def reaches(user: Account, path: Path) -> bool:
    """Tell whether a user may pass through all existing directories of a path."""
    return all(_may_enter(user, part) for part in [path, *path.parents] if part.exists())


def socket_dir(home: Path) -> Path:
    """Return the directory of the Unix socket: in home, or elsewhere if that path cannot be used."""
    inside = home / "run"
    text = str(inside)
    # A comma separates hosts in a DSN; quotes and backslashes do not survive Postgres' settings.
    if len(os.fsencode(text)) <= SOCKET_DIR_BYTES and text.isprintable() and not set(text) & set(",\"'\\"):
        return inside
    if os.geteuid() == 0:
        return Path("/var/run") / f"agent-studio-{digest(home)}"
    # Others may write to /tmp, so start() refuses this directory unless it belongs to us alone.
    return Path("/tmp") / f"agent-studio-{os.geteuid()}-{digest(home)}"  # noqa: S108  # nosec B108


def own_dir(path: Path, user: Account | None) -> None:
    """Make a directory that only the server's user may enter; raise StartFailure if somebody else has made it."""
    uid, gid = (user.uid, user.gid) if user else (os.geteuid(), os.getegid())
    try:
        path.mkdir(mode=0o700)
        os.chown(path, uid, gid)
    except FileExistsError:
        pass
    except OSError as error:
        raise StartFailure(f"Cannot make {path} ({error.strerror}): set DATA_DIR elsewhere.") from None
    # lstat, because a link could lead to somebody else's directory
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise StartFailure(f"{path} is not a directory that only the database's user may enter: remove it.")


def digest(path: Path) -> str:
    """Return a short name for a path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _may_enter(user: Account, path: Path) -> bool:
    found = path.stat()
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
