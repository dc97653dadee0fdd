"""Lists of threads: each walks an index."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from psycopg import sql

from memory.index import threads
from memory.index.paging import Cursor
from memory.index.threads import Filter, list_threads
from tests.memory.index.lists import plans_of
from tests.world import NOW


def middle(sort: str, newer: bool) -> str:
    """A cursor half-way down the list."""
    column = sql.Identifier(threads.SORTS[sort])
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select {0}, session_id from memory_thread order by {0}, session_id offset 3000 limit 1").format(
                column
            )
        )
        value, key = cursor.fetchone()
    return Cursor(f"threads:{sort}", value, key, newer).write()


@pytest.fixture
def many(here: None, analyze: Callable[..., None]) -> None:
    """Some thousand index rows, as a generator writes them: no transcript is needed for a list."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into memory_thread (session_id, session_type, user_id, first_text, runs, errors, users, last_status,
                                       run_input_tokens, created_at)
            select md5(n::text), 'agent', case n %% 5 when 0 then 'heavy' else 'user' || n %% 300 end,
                'Question ' || n, n %% 97, (n %% 40 = 0)::integer, 1 + (n %% 50 = 0)::integer,
                case n %% 12 when 0 then 'ERROR' else 'COMPLETED' end,
                n * 7919 %% 100000, %s + n from generate_series(1, 6000) n""",
            [NOW],
        )
        cursor.execute(
            """
            insert into memory_participant (session_id, user_key, user_id, is_owner, runs, first_at, seen_at, last_at)
            select session_id, memory_key(user_id), user_id, true, runs, created_at, last_at, last_at
            from memory_thread"""
        )
    analyze("memory_thread", "memory_participant", "memory_user")


def plan_of_page(monkeypatch: pytest.MonkeyPatch, *args: Any, **more: Any) -> list[str]:
    """The plan of the page's own part, without what is asked once per row or once per page."""
    lines = "\n".join(plans_of(monkeypatch, lambda: list_threads(*args, **more))).splitlines()
    start = next(n for n, line in enumerate(lines) if line.strip() == "CTE page")
    inside = []
    for line in lines[start + 1 :]:
        if "SubPlan" in line or "InitPlan" in line:
            break
        inside.append(line.strip())
    return inside


def index_walk(plan: list[str], index: str) -> bool:
    text = " ".join(plan)
    return index in text and "Sort" not in text and "Seq Scan" not in text and "Bitmap" not in text


@pytest.mark.parametrize(
    ("sort", "index"),
    [
        ("activity", "memory_thread_last"),
        ("created", "memory_thread_created"),
        ("runs", "memory_thread_runs"),
        ("tokens", "memory_thread_tokens"),
    ],
)
def test_each_sort_walks_its_index(many: None, monkeypatch: pytest.MonkeyPatch, sort: str, index: str) -> None:
    assert index_walk(plan_of_page(monkeypatch, Filter(), sort), index)
    for newer in (False, True):
        plan = plan_of_page(monkeypatch, Filter(), sort, middle(sort, newer))
        assert index_walk(plan, index)
        assert any(line.startswith("Index Cond: (ROW(") for line in plan)
        assert newer == any("Scan Backward" in line for line in plan)


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        (Filter(errors=True), "memory_thread_errors"),
        (Filter(shared=True), "memory_thread_shared"),
        (Filter(since=NOW + 100, until=NOW + 4000), "memory_thread_last"),
        (Filter(status="ERROR", since=NOW + 100, until=NOW + 4000), "memory_thread_status"),
        (Filter(user_id="heavy"), "memory_participant_user"),
        (Filter(user_id="heavy", since=NOW + 100), "memory_participant_user"),
    ],
)
def test_each_filter_walks_its_index(many: None, monkeypatch: pytest.MonkeyPatch, filter: Filter, index: str) -> None:
    plan = plan_of_page(monkeypatch, filter)
    assert index_walk(plan, index), "\n".join(plan)


def test_another_sort_of_a_user_reads_that_users_rows_only(many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(plan_of_page(monkeypatch, Filter(user_id="user7"), "runs"))
    assert "memory_participant_user" in text
    assert "memory_thread_runs" not in text
    assert "Seq Scan" not in text
