"""Which server runs a database: chosen at its first start, and kept as long as the database is."""

from pathlib import Path

from studio.postgres.binaries import Programs, Unsuitable, bundled, examine, examine_wanted, installed
from studio.postgres.home import Account
from studio.postgres.kept_files import StartFailure, replace

AUTO = "auto"
# Holds the directory of programs that are not the bundled ones.
KEPT = "programs"


def choose(home: Path, user: Account | None, wanted: str) -> Programs:
    """Return the programs for a database and keep the choice; raise StartFailure if they do not fit.

    `wanted` is a directory, "auto" or empty. A database that exists stays with a server of its major version.
    """
    path = Path(wanted).absolute() if wanted and wanted != AUTO else None
    if (home / "data").exists():
        found = _for_existing(home, user, path)
    elif path:
        found = _named(path, user)
    else:
        found = (installed(user) if wanted == AUTO else None) or _bundled(home, user)
    if found.directory == bundled(home, user):
        (home / KEPT).unlink(missing_ok=True)
    else:
        replace(home / KEPT, str(found.directory))
    return found


def bin_dir(home: Path, user: Account | None) -> Path:
    """Return the directory of the programs that were chosen."""
    return bundled(home, user) if is_bundled(home) else Path((home / KEPT).read_text())


def is_bundled(home: Path) -> bool:
    """Tell whether the bundled server runs this database."""
    return not (home / KEPT).exists()


def _named(path: Path, user: Account | None) -> Programs:
    try:
        return examine_wanted(path, user)
    except Unsuitable as why:
        raise StartFailure(
            f"POSTGRES_BIN={path} {why}: name the directory with the programs of a server that has lz4, "
            "for example /usr/lib/postgresql/17/bin, or leave it out for the bundled one."
        ) from None


def _bundled(home: Path, user: Account | None) -> Programs:
    try:
        return examine(bundled(home, user), user)
    except Unsuitable as why:
        raise StartFailure(f"The bundled server {why}: set POSTGRES_BIN or DATABASE_URL.") from None


def _for_existing(home: Path, user: Account | None, path: Path | None) -> Programs:
    major = int((home / "data" / "PG_VERSION").read_text())
    directory = path or bin_dir(home, user)
    # once it has compressed by lz4, no server without lz4 can read the database
    check = examine if is_bundled(home) and not path else examine_wanted
    way = "leave POSTGRES_BIN out" if path else "install that version again"
    try:
        found = check(directory, user)
        why = "" if found.major == major else f"is Postgres {found.version}"
    except Unsuitable as unsuitable:
        why = str(unsuitable)
    if why:
        raise StartFailure(
            f"The database in {home} needs Postgres {major}, and {directory} {why}: {way}, "
            f"or set POSTGRES_BIN to the programs of a Postgres {major} with lz4."
        )
    return found
