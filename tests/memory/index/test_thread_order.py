"""Lists of threads: their order, and pages that meet."""

import pytest

from memory.index import threads
from memory.index.threads import Filter, get_thread, list_threads
from tests.memory.index.lists import Write, ids
from tests.world import NOW, ODD_IDS, run


def test_the_newest_activity_is_first_and_ties_are_ordered_by_id(write: Write) -> None:
    write("a", at=NOW)
    write("c", at=NOW)
    write("b", at=NOW)
    write("old", at=NOW - 5)
    write("new", at=NOW + 5)
    assert ids() == ["new", "c", "b", "a", "old"]


def test_each_sort_orders_by_its_own_number(write: Write) -> None:
    write("a", [run("a1"), run("a2"), run("a3")], at=NOW)
    write("b", [run("b1", metrics={"input_tokens": 9000})], at=NOW + 1)
    write("c", [run("c1"), run("c2")], at=NOW + 2)
    assert ids(sort="runs") == ["a", "c", "b"]
    assert ids(sort="tokens") == ["b", "a", "c"]
    assert ids(sort="created") == ["c", "b", "a"]
    assert ids(sort="activity") == ids(sort="no such sort; drop table") == ["c", "b", "a"]


@pytest.mark.parametrize("sort", threads.SORTS)
@pytest.mark.parametrize("filter", [Filter(), Filter(user_id="alice@example.com"), Filter(q="s", status="COMPLETED")])
def test_pages_meet_without_a_gap_in_both_directions(write_one: Write, sort: str, filter: Filter) -> None:
    for n in range(11):
        # values tie in twos and threes, so that pages end in the middle of a tie
        write_one(f"s{n:02}", [run(f"r{n}-{k}") for k in range(1 + n // 3)], at=NOW + n // 2)
    whole = ids(filter, sort=sort)
    assert len(whole) == 11
    there, tokens, cursor = [], [], ""
    while True:
        page = list_threads(filter, sort, cursor, limit=3)
        assert page.start == len(there) + 1
        assert (page.count, page.count_is_exact) == (11, True)
        there += [row["session_id"] for row in page.rows]
        tokens.append(page)
        if page.older is None:
            break
        cursor = page.older
    assert there == whole
    back = [row["session_id"] for row in page.rows]
    while page.newer:
        page = list_threads(filter, sort, page.newer, limit=3)
        back = [row["session_id"] for row in page.rows] + back
    assert back == whole
    assert page.start == 1
    assert page.rows == tokens[0].rows


def test_going_newer_fills_the_first_page(write_one: Write) -> None:
    for n in range(4):
        write_one(f"s{n}", at=NOW + n)
    second = list_threads(Filter(), limit=3, cursor=list_threads(Filter(), limit=3).older or "")
    write_one("s9", at=NOW + 9)
    assert ids(cursor=second.newer or "", limit=3) == ["s3", "s2", "s1"]
    page = list_threads(Filter(), limit=4, cursor=second.newer or "")
    assert ([row["session_id"] for row in page.rows], page.newer) == (["s9", "s3", "s2", "s1"], None)


def test_new_threads_do_not_repeat_a_row_on_the_next_page(write_one: Write) -> None:
    for n in range(4):
        write_one(f"s{n}", at=NOW + n)
    first = list_threads(Filter(), limit=2)
    for n in range(10, 15):
        write_one(f"s{n}", at=NOW + n)
    assert ids(cursor=first.older or "", limit=2) == ["s1", "s0"]


def test_a_foreign_cursor_is_a_value_error(write_one: Write) -> None:
    write_one("a")
    write_one("b")
    older = list_threads(Filter(), "runs", limit=1).older or ""
    for bad in (older, "nonsense", older + "x", "é" * 9):
        with pytest.raises(ValueError):
            list_threads(Filter(), "tokens", bad)


@pytest.mark.parametrize("at", [0, -1, 10**12, 10**18, 2**63 - 1, -(2**63)])
def test_times_that_are_no_seconds_are_sorted_all_the_same(write: Write, at: int) -> None:
    write("a", at=NOW)
    write("odd", at=at)
    assert set(ids()) == {"a", "odd"}
    first = list_threads(Filter(), limit=1)
    assert {first.rows[0]["session_id"], *ids(cursor=first.older or "")} == {"a", "odd"}


@pytest.mark.parametrize("odd", ODD_IDS)
def test_any_id_is_listed_paged_and_read(write_one: Write, odd: str) -> None:
    write_one(odd, user_id=odd)
    write_one("plain", at=NOW - 1)
    write_one("plain2", at=NOW + 1)
    assert ids() == ["plain2", odd, "plain"]
    middle = list_threads(Filter(), cursor=list_threads(Filter(), limit=1).older or "", limit=1)
    assert ids(cursor=middle.older or "") == ["plain"]
    assert ids(cursor=middle.newer or "") == ["plain2", odd, "plain"]
    assert ids(Filter(user_id=odd)) == [odd]
    thread = get_thread(odd)
    assert thread is not None
    assert (thread["session_id"], thread["user_id"]) == (odd, odd)


def test_a_limit_is_kept_within_reason(write_one: Write) -> None:
    for n in range(3):
        write_one(f"s{n}")
    assert len(ids(limit=0)) == len(ids(limit=-7)) == 1
    assert len(ids(limit=10**9)) == 3
