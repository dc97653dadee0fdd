"""The database of Django's settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import environ

from studio.postgres.kept_files import StartFailure

_LIKE: Final = "it looks like postgresql://user:password@host:5432/name."


def database(url: str, data_dir: Path, *, statement_timeout: str, connect_timeout: int, max_age: int) -> dict[str, Any]:
    """Return an entry of DATABASES: the server at `url`, or the bundled one in `data_dir` if that is empty.

    `statement_timeout` is in Postgres' own form, the others in seconds.
    """
    where: Mapping[str, Any]
    if url:
        where = _read(url)
    else:
        from studio import postgres

        where = postgres.dsn_parts(data_dir)
    settings: dict[str, Any] = {key.upper(): value for key, value in where.items()}
    options = {
        **settings.get("OPTIONS", {}),
        "connect_timeout": connect_timeout,
        # ms; a connection that looks well and is not is noticed by the first statement on it
        "tcp_user_timeout": 2500,
        # where a statement may take as long as it likes, a dead network ends the wait for its answer within 30 s
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": f"-c statement_timeout={statement_timeout} -c lock_timeout=2500"
        " -c idle_in_transaction_session_timeout=60000",
        "application_name": "agent-studio",
        # Pages ask the same few statements again and again. From the third time on Postgres has them parsed and, where
        # values do not matter to it, planned; that needs the values apart from the statement.
        "server_side_binding": True,
        "prepare_threshold": 2,
    }
    return {
        **settings,
        "ENGINE": "studio.postgres.backend",
        "CONN_MAX_AGE": max_age,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": options,
    }


def _read(url: str) -> dict[str, Any]:
    """Return the pieces of DATABASE_URL; raise StartFailure, which names none of them, for what is no such address."""
    if not url.startswith(("postgresql:", "postgres:")):
        raise StartFailure(f"DATABASE_URL is not Postgres: {_LIKE}")
    try:
        where: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError:
        raise StartFailure(f"DATABASE_URL is not understood: {_LIKE}") from None
    if not where["NAME"]:
        raise StartFailure(f"DATABASE_URL names no database: {_LIKE}")
    return where
