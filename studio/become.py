"""Going on as another user, also where that one may not enter the directory of Python, such as one in root's home."""

import os
import pwd
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from studio.postgres.home import Account, reaches

_OPEN: Final = Path("/proc/self/fd")


@dataclass(frozen=True)
class Python:
    """How to start this Python: the file, and what the new process needs of this one."""

    executable: str = sys.executable
    variables: dict[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


# of this process's user
python = Python()


def become(user: Account) -> None:
    """Go on as another user, for good."""
    global python
    python = python_for(user)
    if home := python.variables.get("PYTHONHOME"):
        _import_from(home)
    os.setgroups([])
    os.setgid(user.gid)
    os.setuid(user.uid)
    # libpq and others look there for settings, which root's would refuse
    os.environ["HOME"] = pwd.getpwuid(user.uid).pw_dir


def python_for(user: Account) -> Python:
    """Return how a user can start this Python. A directory that is open needs no way to it that may be entered."""
    if not _OPEN.exists() or reaches(user, Path(os.path.realpath(sys.executable)).parent):
        return Python()
    base, program = os.open(sys.base_prefix, os.O_PATH), os.open(os.path.realpath(sys.executable), os.O_PATH)
    home = str(_OPEN / str(base))
    variables = {"PYTHONHOME": home, "LD_LIBRARY_PATH": f"{home}/lib"}
    return Python(str(_OPEN / str(program)), variables, (base, program))


def _import_from(home: str) -> None:
    """Import what is not imported yet through a directory that is open."""

    def moved(paths: list[str]) -> list[str]:
        return [home + path.removeprefix(sys.base_prefix) if is_inside(path) else path for path in paths]

    def is_inside(path: str) -> bool:
        return path.startswith(f"{sys.base_prefix}/")

    sys.path[:] = moved(sys.path)
    for module in list(sys.modules.values()):
        if isinstance(getattr(module, "__path__", None), list):
            module.__path__ = moved(list(module.__path__))
    sys.path_importer_cache.clear()
