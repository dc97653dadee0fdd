"""Statements of lists are prepared once for each connection, whichever agent it serves."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django_tenants.utils import schema_context

from memory.index.threads import Filter, get_thread, list_threads
from memory.index.users import list_users
from studio.models import Agent
from tests.world import NOW, run, sql, write_thread

PREPARED = "select statement, generic_plans from pg_prepared_statements where statement ~ 'memory_'"


@pytest.fixture
def two(ada: Agent, bruno: Agent) -> list[Agent]:
    """Two agents with threads of the same ids, written at the same time."""
    for agent in (ada, bruno):
        for number in range(3):
            text = f"{agent.pk} {number}"
            write_thread(agent, f"t-{number}", [run(f"r-{number}", text)], user_id=f"{agent.pk}@x", at=NOW + number)
    return [ada, bruno]


ASK: dict[str, Callable[[], list[str]]] = {
    "threads": lambda: [row["title"] for row in list_threads(Filter()).rows],
    "pages": lambda: [row["title"] for row in list_threads(Filter(), cursor=_second()).rows],
    "users": lambda: [row["user_id"] for row in list_users().rows],
    "a thread": lambda: [(get_thread("t-1") or {})["title"]],
}


def _second() -> str:
    return list_threads(Filter(), limit=1).older or ""


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_each_agent_gets_its_own_rows_from_one_statement(two: list[Agent], ask: Callable[[], list[str]]) -> None:
    """Postgres plans it anew by itself when the search_path is another."""
    for _ in range(12):
        for agent in two:
            with schema_context(agent.schema_name):
                found = ask()
            assert found
            assert all(agent.pk in title for title in found), found
    statements = [statement for statement, _ in sql(PREPARED)]
    assert len(set(statements)) == len(statements)
    assert any(generic for _, generic in sql(PREPARED))


def test_an_agent_whose_tables_were_made_anew_gets_the_new_ones(ada: Agent) -> None:
    """A plan is bound to a table, and not to its name."""
    with schema_context(ada.schema_name):
        for number in range(8):
            write_thread(ada, f"old-{number}")
            assert len(list_threads(Filter()).rows) == number + 1
        sql("alter table memory_thread rename to memory_thread_old")
        sql("create table memory_thread (like memory_thread_old including all)")
        assert list_threads(Filter()).rows == []


@pytest.mark.parametrize(
    ("filter", "words"),
    [
        (Filter(user_id="u"), "from memory_participant p join"),
        (Filter(status="ERROR"), "last_status ="),
        (Filter(q="rare"), "concat_ws"),
        (Filter(since=1), "last_at >="),
        (Filter(errors=True), "errors > 0"),
    ],
)
def test_what_depends_on_its_values_is_planned_each_time(ada: Agent, filter: Filter, words: str) -> None:
    with schema_context(ada.schema_name):
        for _ in range(6):
            list_threads(Filter())
            list_threads(filter)
            list_users("ali")
    pages = [statement for statement, _ in sql(PREPARED) if "with page" in statement]
    assert any("from memory_thread t where true" in statement for statement in pages)
    assert not [statement for statement in pages if words in statement or "like lower" in statement]


@pytest.fixture(autouse=True)
def _as_before(db: None) -> Iterator[None]:
    yield
    raw = connection.connection
    assert raw is not None
    assert raw.prepare_threshold == 2
