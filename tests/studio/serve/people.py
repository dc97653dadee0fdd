"""Running the studio as another user of this machine, which is possible for root."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from studio.postgres.home import Account, identity, reaches
from tests.studio.serve.running import MINE, ROOT, Checkout

SAME_VERSION = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"


@contextmanager
def other_user() -> Iterator[tuple[Account, Checkout]]:
    """Yield an ordinary user and a checkout that they can run: nobody for root, else ourselves."""
    if os.geteuid():
        me = pwd.getpwuid(os.geteuid())
        yield Account(me.pw_name, me.pw_uid, me.pw_gid), MINE
        return
    found = pwd.getpwnam("nobody")
    user = Account(found.pw_name, found.pw_uid, found.pw_gid)
    packages = Path(psycopg.__file__).parents[1]
    with tempfile.TemporaryDirectory(prefix="studio-checkout-") as name:
        root = ROOT
        if not reaches(user, ROOT):
            root = _copy(ROOT, Path(name) / "studio", ".venv", ".git", "var")
        if not reaches(user, packages):
            packages = _copy(packages, Path(name) / "packages")
        yield user, Checkout(_python(user), root, {"PYTHONPATH": str(packages), "HOME": name}, identity(user))


def _copy(source: Path, target: Path, *without: str) -> Path:
    target.parent.chmod(0o755)
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(*without, "__pycache__"))
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    return target


def _python(user: Account) -> str:
    """Return a Python of the version that the packages are for, which the user may run."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        try:
            if not subprocess.run([python, "-c", SAME_VERSION], cwd="/", check=False, **identity(user)).returncode:
                return python
        except OSError:
            continue
    raise AssertionError(f"{user.name} can run no Python {version}: apt-get install python{version}")
