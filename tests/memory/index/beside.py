"""Other sessions of the database beside the one of the test, which see only what is committed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from tests.world import NOW, run

Other = psycopg.Connection[Any]
SESSION = """
    insert into agno_sessions (session_id, session_type, user_id, runs, created_at) values (%s, 'agent', %s, %s, %s)
    on conflict (session_id) do update set runs = excluded.runs"""
RUN = """
    insert into agno_runs (run_id, session_id, run_type, user_id, run_index, run_data, created_at)
    values (%s, %s, 'agent', %s, 0, %s, %s)"""


def where() -> dict[str, Any]:
    place = connection.settings_dict
    keys = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return {key: place[name] for key, name in keys.items()}


def other(schema: str) -> Other:
    """Connect as the studio's role, in one schema; each statement commits."""
    return psycopg.connect(**where(), options=f"-c search_path={schema},public", autocommit=True)


def write(to: Other, session_id: str, *run_ids: str, user_id: str = "ann", **more: Any) -> None:
    """Write a thread as Agno 2.5 does."""
    runs = json.dumps([run(run_id, **more) for run_id in run_ids])
    to.execute(SESSION, [session_id, user_id, runs, NOW])


def write_run(to: Other, session_id: str, run_id: str, **more: Any) -> None:
    """Write a run of a thread as Agno 3.1 does."""
    to.execute(RUN, [run_id, session_id, more.get("user_id"), json.dumps(run(run_id, **more)), NOW])


@contextmanager
def held(schema: str, statement: str) -> Iterator[None]:
    """Let another session hold what a statement takes, until the end of the block."""
    with other(schema) as holder, holder.transaction():
        holder.execute(statement.replace("{schema}", f'"{schema}"'))
        yield


FOLDING = "select from {schema}.memory_turn for update"


def fold(to: Other, most: int = 200) -> int:
    """Fold until nothing waits, and return the number of rows."""
    rows = 0
    while done := to.execute("select memory_fold(%s, false)", [most]).fetchone()[0]:  # type: ignore[index]
        rows += done
    return rows
