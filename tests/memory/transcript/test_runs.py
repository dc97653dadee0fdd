"""Pages of a thread's runs: the same over runs in the column, in the table, in both, and in no order."""

import json
from pathlib import Path
from typing import Any

import pytest

from memory.transcript.place import Place
from memory.transcript.runs import RunPage, find_place, get_run, list_runs
from memory.transcript.stored import StoredRun
from studio.models import Agent
from tests.memory.transcript.threads import agno, execute, flat, ids, page, thread_of, walk, write
from tests.world import NOW, write_run, write_thread

DATA = Path(__file__).parents[1] / "data"


def test_it_reads_a_thread_in_pages_newest_first(here: Agent, layout: str) -> None:
    runs = [agno(f"r{n:02}", at=NOW + n) for n in range(45)]
    write(here, "s", runs, layout)
    expected = [f"r{n:02}" for n in range(45)][::-1]
    assert walk("s") == [expected[:20], expected[20:40], expected[40:]]


def test_it_reads_a_thread_oldest_first(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n:02}", at=NOW + n) for n in range(45)], layout)
    expected = [f"r{n:02}" for n in range(45)]
    assert walk("s", order="oldest") == [expected[:20], expected[20:40], expected[40:]]


def test_it_counts_all_runs_of_the_thread(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(5)], layout)
    first = page("s", limit=2)
    assert (first.total, first.left) == (5, 3)
    assert page("s", first.older, limit=2).left == 1


def test_it_goes_back_the_way_it_came(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(9)], layout)
    first = page("s", limit=3)
    second = page("s", first.older, limit=3)
    third = page("s", second.older, limit=3)
    assert ids(third) == ["r2", "r1", "r0"]
    assert (third.older, first.newer) == (None, None)
    assert ids(page("s", third.newer, limit=3)) == ids(second)
    assert ids(page("s", second.newer, limit=3)) == ids(first)
    assert page("s", second.newer, limit=3).newer is None


def test_it_opens_the_page_of_a_named_run(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(9)], layout)
    middle = page("s", anchor_run="r5", limit=3)
    assert ids(middle) == ["r5", "r4", "r3"]
    assert ids(page("s", middle.newer, limit=3)) == ["r8", "r7", "r6"]
    assert page("s", anchor_run="r8", limit=3).newer is None
    assert ids(page("s", anchor_run="r5", limit=3, order="oldest")) == ["r5", "r6", "r7"]


def test_a_named_run_that_is_not_there_opens_the_first_page(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(3)], layout)
    assert ids(page("s", anchor_run="nobody")) == ["r2", "r1", "r0"]
    assert find_place(thread_of("s"), "nobody") is None


def test_runs_of_one_second_are_ordered_by_their_index(here: Agent) -> None:
    for index, run_id in ((2, "b"), (0, "c"), (1, "a")):
        if run_id == "b":
            write_thread(here, "s", [])
        write_run(here, "s", agno(run_id, at=NOW), index)
    assert walk("s", order="oldest", limit=2) == [["c", "a"], ["b"]]


def test_runs_of_one_second_and_index_are_ordered_by_their_id(here: Agent) -> None:
    write_thread(here, "s", [])
    for run_id in ("m", "z", "a", "k"):
        write_run(here, "s", agno(run_id, at=NOW), 0)
    assert walk("s", limit=3) == [["z", "m", "k"], ["a"]]


def test_a_run_without_a_time_has_that_of_its_thread(here: Agent) -> None:
    runs = [agno("early", at=NOW - 9), {**agno("timeless"), "created_at": None}, agno("late", at=NOW + 9)]
    write_thread(here, "s", runs, at=NOW)
    assert walk("s", order="oldest") == [["early", "timeless", "late"]]
    assert page("s").runs[1].created_at == NOW


def test_the_table_wins_over_the_column(here: Agent) -> None:
    write_thread(here, "s", [agno("r", status="RUNNING"), agno("only")], layout="column")
    write_run(here, "s", agno("r", status="COMPLETED"), 7)
    found = {one.run_id: one for one in page("s").runs}
    assert found.keys() == {"r", "only"}
    assert (found["r"].status, found["r"].position, found["only"].position) == ("COMPLETED", None, 1)


@pytest.mark.parametrize("counted", ["column", "table"])
def test_an_index_that_is_behind_has_both_places_read(here: Agent, counted: str) -> None:
    write(here, "s", [agno("a", at=NOW)], counted)
    thread = thread_of("s")
    write_run(here, "s", agno("b", at=NOW + 1), 1)
    execute("update agno_sessions set runs = %s where session_id = 's'", json.dumps([agno("a"), agno("c")]))
    # what waits in the feed is not counted between the thread and its runs
    assert (thread["runs"], thread["indexed"]) == (1, True)
    newest, oldest = list_runs(thread), list_runs(thread, order="oldest")
    assert (ids(newest), ids(oldest)) == (["b", "c", "a"], ["a", "c", "b"])
    assert find_place(thread, "b")
    assert find_place(thread, "c")


def test_a_run_of_another_thread_does_not_hide_ours(here: Agent) -> None:
    write_thread(here, "mine", [agno("r")], layout="column")
    write_thread(here, "theirs", [agno("r", user_id="eve")], layout="table")
    assert ids(page("mine")) == ["r"]
    assert page("mine").runs[0].user_id is None


def test_runs_without_an_id_and_things_that_are_no_runs_are_pages_too(here: Agent) -> None:
    odd: list[Any] = [{"created_at": NOW}, None, 5, "text", [], {"created_at": NOW}]
    write_thread(here, "s", odd, layout="column")
    assert [len(one) for one in walk("s", limit=2)] == [2, 2, 2]
    assert [one.position for one in page("s").runs] == [5, 4, 3, 2, 1, 0]
    assert page("s").runs[2].run.problem
    write_run(here, "s", agno("late", at=NOW + 5), 0)
    assert [len(one) for one in walk("s", limit=2)] == [2, 2, 2, 1]


def test_an_empty_thread_has_one_empty_page(here: Agent) -> None:
    write_thread(here, "s", [], layout="table")
    assert page("s") == RunPage([], "newest", None, None, 0, 0)


def test_real_shared_threads_of_both_generations_read_whole(here: Agent) -> None:
    for name, where in (("agno_2_5_thread.json", "column"), ("agno_3_1_thread.json", "table")):
        thread = json.loads((DATA / name).read_text())
        rows = thread.get("runs_column") or [row["run_data"] for row in thread["agno_runs_rows"]]
        write_thread(here, name, [], layout="table") if where == "table" else write_thread(here, name, rows)
        for index, item in enumerate(rows if where == "table" else []):
            write_run(here, name, item, index * 2 if index == 2 else 0)  # as seen: 0, 0, 2
        pages = walk(name, limit=2, order="oldest")
        assert sorted(str(one) for one in flat(pages)) == sorted(item["run_id"] for item in rows)
        assert [one.run.user_id for one in page(name, order="oldest").runs][-1] == "carol@example.com"


# Families


def family(parent: str, members: int, at: int) -> list[dict[str, Any]]:
    subs = [agno(f"{parent}.{n}", at=at, parent_run_id=parent) for n in range(members)]
    return [agno(parent, at=at - 1), *subs]


def test_a_page_does_not_part_a_run_and_its_sub_runs(here: Agent, layout: str) -> None:
    runs = [item for n in range(6) for item in family(f"f{n}", 3, NOW + 10 * n)]
    write(here, "s", runs, layout)
    for order in ("newest", "oldest"):
        pages = walk("s", order=order, limit=6)
        assert [{str(run_id)[:2] for run_id in one} for one in pages] == [
            {f"f{n}"} for n in (range(6) if order == "oldest" else range(5, -1, -1))
        ]


def test_a_family_larger_than_a_page_is_parted(here: Agent, layout: str) -> None:
    write(here, "s", [agno("first", at=NOW - 9), *family("f", 30, NOW)], layout)
    pages = walk("s", limit=10)
    assert flat(pages)[-2:] == ["f", "first"]
    assert sum(len(one) for one in pages) == 32


def test_runs_that_are_each_others_parents_are_shown(here: Agent, layout: str) -> None:
    write(here, "s", [agno("a", parent_run_id="b"), agno("b", parent_run_id="a", at=NOW + 1)], layout)
    assert sorted(str(one) for one in flat(walk("s", limit=1))) == ["a", "b"]


# One run, all runs


def test_one_run_is_found_wherever_it_is(here: Agent, layout: str) -> None:
    write(here, "s", [agno("a"), agno("b", at=NOW + 1)], layout)
    write_thread(here, "other", [agno("c")])
    text = get_run("s", "b")
    assert text is not None
    assert json.loads(text)["content"] == "answer b"
    assert get_run("s", "c") is None
    assert get_run("nowhere", "b") is None


def test_a_run_without_an_id_is_found_by_its_position(here: Agent) -> None:
    write_thread(here, "s", [agno("a"), {"content": "nameless"}])
    assert json.loads(get_run("s", "", 1) or "") == {"content": "nameless"}
    assert get_run("s", "", 2) is None


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "jWzFd", "A" * 70_000, Place(2**70).write(), "al0="],
)
def test_a_cursor_made_elsewhere_is_a_value_error(here: Agent, cursor: str) -> None:
    write_thread(here, "s", [agno("r")])
    with pytest.raises(ValueError):
        page("s", cursor)


@pytest.mark.parametrize("position", [-(2**63), -1, 0, 5, 2**40, 2**63 - 1])
@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize("inclusive", [True, False])
def test_a_forged_place_is_a_page_all_the_same(here: Agent, position: int, newer: bool, inclusive: bool) -> None:
    write_thread(here, "s", [agno("a"), agno("b")])
    place = Place(position, newer, inclusive, 3)
    assert isinstance(page("s", place.write()), RunPage)


def test_a_run_shows_the_rows_own_fields() -> None:
    row = StoredRun(0, "r", "p", 5, None, 10, False, True, '{"run_id": "other", "status": "RUNNING"}', "paused", "u")
    assert (row.run.run_id, row.run.parent_run_id, row.run.status, row.run.user_id) == ("r", "p", "PAUSED", "u")
