"""Where the benchmark runs: the studio's own Postgres, set as `make run` sets it, and the studio on it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from studio import postgres

# Loading a million threads would otherwise stop for a checkpoint at every gigabyte, and log what it copies.
SETTINGS: Final = {
    "max_wal_size": "8GB",
    "autovacuum_naptime": "5min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@contextmanager
def database(kept: Path | None = None, programs: str = "") -> Iterator[tuple[Path, str]]:
    """Run a server, yield its directory and the studio's DSN; it is deleted unless `kept`.

    It is the bundled one unless `programs` is the directory of another's.
    """
    home = kept or Path(tempfile.mkdtemp(prefix="studio-bench-"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)
    try:
        postgres.start(home, SETTINGS, programs)
        with psycopg.connect(postgres.url(postgres.superuser_parts(home)), autocommit=True) as connection:
            connection.execute("grant pg_monitor, pg_checkpoint to studio")
        where = {**postgres.dsn_parts(home), "host": "127.0.0.1", "port": postgres.tcp_port(home)}
        yield home, "postgresql://{user}:{password}@{host}:{port}/{name}".format(**where)
    finally:
        postgres.stop(home)
        if kept is None:
            shutil.rmtree(postgres.locate(home), ignore_errors=True)
            shutil.rmtree(home, ignore_errors=True)
