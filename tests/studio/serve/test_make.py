"""What make does around the studio."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.studio.serve.running import ROOT

MAKE = shutil.which("make") or "make"
OUTER = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}  # of the make that runs the tests


def make(place: Path, target: str, path: str) -> subprocess.CompletedProcess[str]:
    """Run a target of our Makefile in an empty project."""
    shutil.copy2(ROOT / "Makefile", place)
    if not (place / "requirements.txt").exists():
        (place / "requirements.txt").touch()
    return subprocess.run(
        [MAKE, target],
        cwd=place,
        env={**{name: value for name, value in os.environ.items() if name not in OUTER}, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_python_that_is_too_old(place: Path) -> None:
    """It says which one it found and what to install."""
    old = place / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = make(place, "run", str(place))
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_it_installs_again_only_when_requirements_change(place: Path) -> None:
    first, second = (make(place, "env", os.environ["PATH"]) for _ in range(2))
    assert "Installing" in first.stdout, first.stderr
    assert second.stdout == ""
    later = (place / ".venv" / ".env").stat().st_mtime + 10
    os.utime(place / "requirements.txt", (later, later))
    assert "Installing" in make(place, "env", os.environ["PATH"]).stdout
