"""The user that the studio runs as when root starts it, and the files that only this user may read."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from studio import postgres
from studio.audit import tombstones
from studio.audit.head import EMPTY
from studio.become import become, python_for
from studio.postgres.home import Account, account, identity, owner, reaches
from studio.postgres.kept_files import StartFailure, make_once
from studio.running import ROOT

# whatever else lies in DATA_DIR is not ours
FILES = ("secret_key", "static.stamp", "first_start", "serve.lock", "running.lock", "running.json")
DIRECTORIES = ("static", "postgres")
# what a web server's process imports
_TRY = "import django, gunicorn, psycopg, studio.serve.worker"


def step_down(data_dir: Path) -> list[str]:
    """Make our files private. As root: give them to the database's user, become that one, and run nothing as root.

    Returns sentences about what could not be done.
    """
    if data_dir.stat().st_mode & stat.S_ISVTX:
        raise StartFailure(f"Everybody may write to {data_dir}: set DATA_DIR to a directory of the studio's own.")
    # of an earlier release; everybody could hold it
    head = Path(settings.AUDIT_HEAD_FILE)
    head.with_name(f"{head.name}.lock").unlink(missing_ok=True)
    if os.geteuid() != 0:
        return _make_private(data_dir)
    try:
        user = account(data_dir / "postgres") if (data_dir / "postgres" / "data").exists() else owner(data_dir)
    except StartFailure as failure:
        return [f"The studio runs as root. {failure}"]
    if user is None or postgres.locate(data_dir) != data_dir.resolve() / "postgres" or not _can_run(user, data_dir):
        name = user.name if user else "the database's user"
        return [
            f"The studio runs as root, because {name} cannot enter {data_dir} or read {ROOT}:"
            " put both where that user may, or start it as an ordinary user."
        ]
    for path in _files(data_dir):
        os.lchown(path, user.uid, user.gid)
    become(user)
    return _make_private(data_dir)


def _can_run(user: Account, data_dir: Path) -> bool:
    if not reaches(user, data_dir.resolve().parent):
        return False
    python = python_for(user)
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _TRY],
            executable=python.executable,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", **python.variables},
            pass_fds=python.descriptors,
            capture_output=True,
            **identity(user),
        )
    except OSError:
        return False
    return tried.returncode == 0


def _files(data_dir: Path) -> Iterator[Path]:
    """Yield what the studio writes to; what it appends to is made, where its user might not."""
    head = Path(settings.AUDIT_HEAD_FILE)
    if head.parent != data_dir:
        make_once(head, lambda: EMPTY)
        make_once(tombstones.path(), str)
        yield from (head, tombstones.path())
    names = (*FILES, head.name, tombstones.path().name)
    yield from (path for path in (data_dir, *(data_dir / name for name in names)) if path.exists())
    # the server's own files are its user's already
    yield from (path for path in [data_dir / "postgres", *(data_dir / "postgres").glob("*")] if path.exists())
    yield from (path for path in [data_dir / "static", *(data_dir / "static").rglob("*")] if path.exists())


def _make_private(data_dir: Path) -> list[str]:
    others = []
    for path in _files(data_dir):
        state = path.lstat()
        if state.st_uid != os.geteuid():
            others.append(f"{path} belongs to another user, who may change it: give it to this one with chown.")
        elif stat.S_ISREG(state.st_mode) and path.parent == data_dir:
            path.chmod(0o600)
        elif path in (data_dir, *(data_dir / name for name in DIRECTORIES)):
            path.chmod(0o700)
    return others[:3]
