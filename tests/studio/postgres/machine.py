"""Postgres servers of this machine for tests: stand-ins that only answer, and one that really runs."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.postgres import binaries
from studio.postgres.home import server_account
from tests.studio.serve.running import passable

# Asked with -C it says whether it knows lz4, else its version.
STAND_IN = """#!/bin/sh
case "$1" in
  -C) {lz4} ;;
  *) echo "postgres (PostgreSQL) {version}" ;;
esac
"""
# The bundled server with a doorman who takes lz4 out of what it is told.
DOORMAN = """#!/bin/sh
for word; do
  shift
  case "$word" in *default?toast?compression=lz4) ;; *) set -- "$@" "$word" ;; esac
done
exec "$(dirname "$0")/postgres.bundled" "$@"
"""


def stand_in(directory: Path, version: str, *, lz4: bool = True) -> Path:
    """Make programs that say what a server of this version says."""
    directory.mkdir(parents=True)
    for name in binaries.NEEDED:
        _program(directory / name, STAND_IN.format(version=version, lz4="true" if lz4 else "false"))
    return directory


@contextmanager
def machine_server() -> Iterator[Path]:
    """Yield the programs of this machine's Postgres with lz4, or of one made of the bundled server's files."""
    user = server_account() if os.geteuid() == 0 else None
    if found := binaries.installed(user):
        yield found.directory
        return
    with passable() as place:
        yield made_of_the_bundled(place)


def made_of_the_bundled(place: Path) -> Path:
    """Copy the bundled server elsewhere and let it say that it knows lz4; returns its programs."""
    programs = binaries._copy(binaries.bundled(place, None).parents[1], place)
    programs = programs / binaries.PACKAGE / "pginstall" / "bin"
    shutil.move(programs / "postgres", programs / "postgres.bundled")
    _program(programs / "postgres", DOORMAN)
    return programs


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
