"""Starting and stopping the Postgres that the studio runs itself."""

import locale
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

from studio.postgres import processes, quotas, rights
from studio.postgres.binaries import SETTING, Programs
from studio.postgres.choice import AUTO, bin_dir, choose, is_bundled
from studio.postgres.dsn import (
    SOCKET_PORT,
    SUPERUSER,
    dsn_parts,
    free_port,
    is_free,
    keep_port,
    password,
    superuser_parts,
    tcp_port,
)
from studio.postgres.home import Account, account, locate, own_dir, socket_dir
from studio.postgres.kept_files import StartFailure, locked, make_dir, replace

SOCKET = f".s.PGSQL.{SOCKET_PORT}"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    # the table of locks is everybody's: 54,000 are more than all agents together may hold before they are ended
    "max_locks_per_transaction": "256",
    "shared_buffers": "256MB",
    "synchronous_commit": "on",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "cluster_name": "agent-studio",
    **quotas.SETTINGS,
}

# Agents connect by TCP, where the superuser may not.
HBA = f"""\
local all all scram-sha-256
host all {SUPERUSER} 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""

# A server that was killed leaves its lock file and, for a moment, its child processes, and another one may have just
# taken the port: the start is tried again. No lock file is deleted, as nothing else keeps two servers off one data.
BUSY = ("postmaster.pid", "pre-existing shared memory block", "could not create any TCP/IP sockets")
BUSY_SECONDS = 30
START_SECONDS = 300
STOP_SECONDS = 30
# Another number sets the rights and limits of a database again that an earlier release made.
SETTLED = "3"

# The locale provider "builtin" came with Postgres 17; before, letters are those of a locale of the system.
BUILTIN_SINCE = 17
NOTIFY_LIMIT_SINCE = 17
UNICODE_LOCALES = ("C.UTF-8", "en_US.UTF-8")


def start(data_dir: Path, settings: Mapping[str, str] | None = None, wanted: str = "") -> None:
    """Start the server unless it runs, and wait until it is ready.

    The first call makes the database. The server goes on when this process ends. `wanted` is a directory with
    the programs of a Postgres, "auto" for one that is found on this machine, or empty for the bundled one.
    """
    home = locate(data_dir)
    make_dir(home)
    with locked(home / "start.lock", wait=START_SECONDS) as held:
        if not held:
            raise StartFailure(f"Another process has been starting the database in {home} for {START_SECONDS} s.")
        user = account(home)
        own_dir(socket_dir(home), user)
        if not (home / "data").exists():
            _initialise(home, user, choose(home, user, wanted))
        _attach(home)
        deadline = time.monotonic() + START_SECONDS
        while reason := _not_ready(data_dir):
            if not answers(data_dir):
                programs = choose(home, user, wanted)
                _launch(data_dir, home, user, programs, {**SETTINGS, **_of_version(programs), **(settings or {})})
            # Postgres says "the database system is starting up", "… not yet accepting connections" or
            # "… shutting down": these pass.
            elif "the database system is" not in reason or time.monotonic() > deadline:
                raise StartFailure(f"The database does not answer: {reason}.")
            time.sleep(0.02)
        # written last, so that a start that was cut off sets the rights again
        settled = home / "settled"
        if not settled.exists() or settled.read_text() != SETTLED:
            superuser = superuser_parts(data_dir)
            rights.grant_rights(superuser, dsn_parts(data_dir)["password"])
            quotas.set_limits(superuser)
            replace(settled, SETTLED)


def stop(data_dir: Path) -> None:
    """Stop the server, at last as in a crash, for sessions that hear no signal; nothing that was committed is lost."""
    if not answers(data_dir):
        return
    user = account(home := locate(data_dir))
    command: list[str | Path] = [bin_dir(home, user) / "pg_ctl", "stop", "-D", home / "data", "-t", str(STOP_SECONDS)]
    for mode in ("fast", "immediate"):
        processes.run([*command, "-m", mode], home, user, "stop.log")
        if not answers(data_dir):
            return
    raise StartFailure(f"The database did not stop within {2 * STOP_SECONDS} s: see {home / 'log'}.")


def describe(data_dir: Path, wanted: str) -> str:
    """Say which server runs, or nothing if it is the bundled one and no other was wanted."""
    home = locate(data_dir)
    with rights.open_as(superuser_parts(data_dir), "postgres") as connection:
        major, minor = divmod(connection.info.server_version, 10_000)
        (compression,) = connection.execute("show default_toast_compression").fetchone() or ("",)
    if not is_bundled(home):
        return f"The database is Postgres {major}.{minor} of {bin_dir(home, None)}, compressed by {compression}."
    if wanted == AUTO:
        return f"The database is the bundled Postgres {major}.{minor}: no other with lz4 was found at the first start."
    return f"The database is the bundled Postgres {major}.{minor}." if wanted else ""


def answers(data_dir: Path) -> bool:
    """Tell whether a server listens on the clients' socket."""
    # a process id in a file proves nothing after a crash: it may belong to another program by then
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(socket_dir(locate(data_dir)) / SOCKET))
        except OSError:
            return False
    return True


def _initialise(home: Path, user: Account | None, programs: Programs) -> None:
    unfinished = home / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    own_dir(unfinished, user)
    own_dir(home / "log", user)
    command: list[str | Path] = [programs.directory / "initdb", "-D", unfinished, "-U", SUPERUSER, "-E", "UTF8"]
    command += ["--locale=C", *_letters(programs), "--auth=scram-sha-256", "--no-instructions"]
    # in a file, because other users can read the arguments of a process
    with tempfile.NamedTemporaryFile("w", dir=home) as secret:
        secret.write(password(home, "superuser"))
        secret.flush()
        if user:
            os.chown(secret.name, user.uid, user.gid)
        code = processes.run([*command, f"--pwfile={secret.name}"], home, user, "start.log")
    if code:
        why = processes.why(home, processes.log_sizes(home))
        raise StartFailure(f"The database could not be made: {why}; see {home}/start.log.")
    # Only a complete database gets the name, so that a start after one that was cut off makes it anew.
    unfinished.rename(home / "data")


def _letters(programs: Programs) -> list[str]:
    """Return options by which texts sort by code point, and lower() knows the letters of Unicode."""
    if programs.major >= BUILTIN_SINCE:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        return [f"--lc-ctype={next(filter(_is_known, UNICODE_LOCALES), 'C')}"]
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def _is_known(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    return True


def _of_version(programs: Programs) -> dict[str, str]:
    """Return settings that not every server knows."""
    found = {SETTING: "lz4"} if programs.lz4 else {}
    if programs.major >= quotas.RESERVED_SINCE:
        found["reserved_connections"] = quotas.RESERVED
    if programs.major >= NOTIFY_LIMIT_SINCE:
        # in pages of 8 kB; else one listener that does not listen lets others write 8 GB
        found["max_notify_queue_pages"] = "1024"
    return found


def _attach(home: Path) -> None:
    """Point the clients' socket at a server that is running already, e.g. after the studio was killed."""
    try:
        # the fourth line of the lock file is the port
        port = (home / "data" / "postmaster.pid").read_text().splitlines()[3]
    except (OSError, IndexError):
        return
    _link(home, int(port))
    keep_port(home, int(port))


def _launch(data_dir: Path, home: Path, user: Account | None, programs: Programs, settings: Mapping[str, str]) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    replace(home / "hba.conf", HBA, mode=0o644)
    while True:
        before = processes.log_sizes(home)
        server = processes.spawn(home, user, programs, {**settings, **_places(data_dir, home)})
        try:
            while server.poll() is None:
                if answers(data_dir):
                    return
                time.sleep(0.02)
        except BaseException:
            # stop() finds only a server that listens, and this one does not yet.
            server.send_signal(signal.SIGINT)
            server.wait()
            raise
        # its log is written by a process of its own, which ends a moment later
        time.sleep(0.5)
        if time.monotonic() > deadline or not any(reason in processes.said(home, before) for reason in BUSY):
            raise StartFailure(f"The database did not start: {processes.why(home, before)}; more in {home}/log.")


def _places(data_dir: Path, home: Path) -> dict[str, str]:
    """Return the settings for directories and the port; a port that is taken is replaced by another."""
    port = tcp_port(data_dir)
    if not is_free(port):
        port = free_port(home)
        keep_port(home, port)
    _link(home, port)
    return {
        "port": str(port),
        "unix_socket_directories": f'"{socket_dir(home)}"',
        "hba_file": str(home / "hba.conf"),
        "log_directory": str(home / "log"),
    }


def _link(home: Path, port: int) -> None:
    link = socket_dir(home) / SOCKET
    link.unlink(missing_ok=True)
    link.symlink_to(f".s.PGSQL.{port}")


def _not_ready(data_dir: Path) -> str:
    try:
        rights.open_as(superuser_parts(data_dir), "postgres").close()
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    return ""
