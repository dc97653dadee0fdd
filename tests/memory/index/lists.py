"""Lists of threads by their ids, and the plans of lists."""

import re
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
    """The plans of the statements that a list would read its rows by; it gets none.

    Of a statement that Postgres may plan once and for all it is that plan.
    """
    plans: list[str] = []

    def explain(
        statement: sql.Composable | str, values: dict[str, Any], *, one_plan: bool = True
    ) -> tuple[list[Any], feed.Lag]:
        text = statement if isinstance(statement, str) else statement.as_string(None)
        with connection.cursor() as cursor:
            if one_plan:
                numbers = {name: f"${number}" for number, name in enumerate(values, 1)}
                text = re.sub(r"%\((\w+)\)s", lambda found: numbers[found[1]], text)
                cursor.execute("explain (costs off, generic_plan) " + text)
            else:
                cursor.execute("explain (costs off) " + text, values)
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
        return [], feed.Lag()

    with monkeypatch.context() as patch:
        patch.setattr(feed, "read_fresh", explain)
        ask()
    return plans
