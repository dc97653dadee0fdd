"""Lists of threads by their ids, and the plans of lists."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from psycopg import sql

from memory.index import feed
from memory.index.threads import Filter, list_threads

Write = Callable[..., None]
EVERYTHING = Filter()


def ids(filter: Filter = EVERYTHING, **more: Any) -> list[str]:
    return [row["session_id"] for row in list_threads(filter, **more).rows]


def plans_of(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> list[str]:
    """The plans of the statements that a list would read its rows by; it gets none."""
    plans: list[str] = []

    def explain(statement: sql.Composable, values: dict[str, Any]) -> tuple[list[Any], feed.Lag]:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("explain (costs off) ") + statement, values)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
        return [], feed.Lag()

    with monkeypatch.context() as patch:
        patch.setattr(feed, "read_fresh", explain)
        ask()
    return plans
