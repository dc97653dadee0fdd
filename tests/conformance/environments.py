"""Isolated Python environments with the real libraries, made once by uv and kept for the next run."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from studio.postgres.kept_files import locked

HERE = Path(__file__).parent
KEPT = Path(os.environ.get("TEST_ENVIRONMENTS", HERE.parent.parent / "var" / "test-environments"))

AGNO_2 = "agno-2.5"
AGNO_3 = "agno-3.1"
SDK = "xpander-sdk-2.0.537"
SDK_BEFORE = "xpander-sdk-2.0.405"


def python(name: str, pinned_in: Path = HERE) -> Path:
    """Return the interpreter of the environment that requirements-<name>.txt of a directory describes.

    Other pins or another Python make another environment. Of several workers that ask at once, one
    makes it and the others wait. Raises CalledProcessError, with what uv said on stderr.
    """
    pins = pinned_in / f"requirements-{name}.txt"
    key = hashlib.sha256(f"{sys.version}\n{pins.read_text()}".encode()).hexdigest()[:12]
    home = KEPT / f"{name}-{key}"
    made = home / "made"
    if not made.exists():
        with locked(KEPT / f"{name}.lock", wait=900):
            if not made.exists():
                _make(home, pins)
                made.touch()
    return home / "bin" / "python"


def _make(home: Path, pins: Path) -> None:
    uv = find_uv_bin()
    # What was left half-made is cleared; uv's own cache makes the second time cheap.
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
    install = [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--requirements", pins]
    subprocess.run([*install, "--python", home / "bin" / "python"], check=True)
