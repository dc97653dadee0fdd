"""The Postgres of a test run: one server in a directory of its own, for all workers; POSTGRES_BIN may choose it.

It runs beside a guard process that ends it when the run does, however the run ends.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from studio import postgres

ROOT = Path(__file__).resolve().parent.parent
# Nobody needs what a test wrote after the power went off.
FAST = {
    "fsync": "off",
    # off by default; where it is on, a transaction may be prepared and end much later
    "max_prepared_transactions": "10",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
}


def start_guarded() -> subprocess.Popen[str]:
    """Start the server and set DATABASE_URL and TEST_SUPERUSER_URL; close the guard's stdin to end."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "tests.postgres"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches the run, which still needs the database to end its tests.
        start_new_session=True,
    )
    assert guard.stdout is not None
    answer = guard.stdout.readline()
    if not answer:
        raise SystemExit("The tests' Postgres did not start.")
    os.environ.update(json.loads(answer))
    return guard


def stop_guarded(guard: subprocess.Popen[str]) -> None:
    """End the server and wait until its directory is gone."""
    guard.communicate(timeout=90)


def guard() -> None:
    """Run the server until standard input closes, which happens at the end of the test run in any case."""
    # whoever ends it by name must not leave a server without its guard
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    data_dir = Path(tempfile.mkdtemp(prefix="studio-tests-"))
    data_dir.chmod(0o711)
    try:
        postgres.start(data_dir, FAST, os.environ.get("POSTGRES_BIN", ""))
        _allow_test_databases(data_dir)
        # Over TCP, as most databases that DATABASE_URL names.
        studio = {**postgres.dsn_parts(data_dir), "host": "127.0.0.1", "port": postgres.tcp_port(data_dir)}
        urls = {
            "DATABASE_URL": "postgresql://{user}:{password}@{host}:{port}/{name}".format(**studio),
            "TEST_SUPERUSER_URL": postgres.url(postgres.superuser_parts(data_dir)),
        }
        print(json.dumps(urls), flush=True)
        sys.stdin.read()
    finally:
        postgres.stop(data_dir)
        shutil.rmtree(postgres.locate(data_dir), ignore_errors=True)
        shutil.rmtree(data_dir, ignore_errors=True)


def _allow_test_databases(data_dir: Path) -> None:
    with psycopg.connect(postgres.url(postgres.superuser_parts(data_dir)), autocommit=True) as connection:
        connection.execute("alter role studio createdb")
        connection.execute("grant connect on database postgres, template1 to studio")


if __name__ == "__main__":
    guard()
