"""What an agent writes of a deleted thread, and a new talk under its id, by clocks that differ from the studio's."""

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django_tenants.utils import schema_context

from memory.services.deletion import delete_threads
from tests.memory.field.rows import NOW, Studio, turn
from tests.world import DANA


@pytest.fixture(params=[1, 1_000, 1_000_000])
def second(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=[-600, -5, 0, 5, 600])
def at(request: pytest.FixtureRequest, second: int) -> int:
    return (NOW + int(request.param)) * second


@pytest.fixture
def deleted(studio: Studio, where: str, at: int) -> Callable[[], None]:
    """A thread that is deleted, and what writes it again."""
    runs = [turn(f"r{n}", "q", "a", created_at=at, index=n) for n in range(2)]

    def write() -> None:
        studio.both("s", json.loads(json.dumps(runs)), where, at=at)

    write()
    with schema_context(studio.agent.schema_name):
        assert delete_threads(DANA, studio.agent, ["s"]).threads == 1
    return write


def stored(studio: Studio) -> list[tuple[str, ...]]:
    with schema_context(studio.agent.schema_name), connection.cursor() as cursor:
        cursor.execute("select 'thread', session_id from agno_sessions union all select 'run', run_id from agno_runs")
        return sorted(cursor.fetchall())


def test_07_deleted_then_late_write(studio: Studio, deleted: Callable[[], None]) -> None:
    deleted()
    assert stored(studio) == []


def test_07_deleted_then_new_talk(
    studio: Studio, deleted: Callable[[], None], where: str, at: int, second: int
) -> None:
    studio.both("s", [turn("new", "q", "a", created_at=at + second)], where, at=at + second)
    deleted()
    assert stored(studio) == ([("run", "new")] if where == "table" else []) + [("thread", "s")]
    assert [run["run_id"] for run in studio.read("s", "/runs")["items"]] == ["new"]


def test_a_run_in_the_very_second_of_the_new_talk(studio: Studio) -> None:
    """It is kept if it goes on from what is there, not if it goes on from what was deleted."""
    studio.table("s", [turn("r0", "q", "a", created_at=NOW)], at=NOW)
    with schema_context(studio.agent.schema_name):
        delete_threads(DANA, studio.agent, ["s"])
    studio.table("s", [turn("old", "q", "a", created_at=NOW + 1, index=3)], at=NOW + 1)
    studio.run("s", turn("new", "q", "a", created_at=NOW + 1), 0)
    studio.run("s", turn("next", "q", "a", created_at=NOW + 1), 1)
    assert stored(studio) == [("run", "new"), ("run", "next"), ("thread", "s")]


@pytest.mark.parametrize("second", [1_000, 1_000_000], indirect=True)
def test_a_new_talk_of_the_same_second_is_told_by_a_clock_that_counts_less(
    studio: Studio, where: str, second: int
) -> None:
    """All of it happens within one second: a talk, its deletion, a new talk, and what the old one writes late."""
    began, again = NOW * second + second // 10, NOW * second + second // 2

    def write(name: str, at: int) -> None:
        studio.thread("s", [turn(name, "q", "a")] if where == "column" else None, at=at)

    write("old", began)
    with schema_context(studio.agent.schema_name):
        delete_threads(DANA, studio.agent, ["s"])
    write("late", began)
    assert stored(studio) == []
    write("new", again)
    write("late", began)
    if where == "table":
        # by the times of its messages, the late run is of this second, too
        late = [{"role": "user", "content": "q", "created_at": NOW}]
        studio.run("s", turn("old", "q", "a", created_at=began, messages=late), 0)
        studio.run("s", turn("new", "q", "a", created_at=again), 0)
        # a run may count seconds only
        studio.run("s", turn("next", "q", "a", created_at=NOW), 1)
    assert [run["run_id"] for run in studio.read("s", "/runs")["items"]] == ["new", "next"][: 1 + (where == "table")]
