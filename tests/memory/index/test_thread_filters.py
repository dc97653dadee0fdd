"""Lists of threads: filters, search and counts."""

from collections.abc import Callable

import pytest

from memory.index import threads
from memory.index.threads import Filter, list_threads, matching_ids
from tests.memory.index.lists import Write, ids
from tests.world import NOW, run

# Filters


def test_a_users_threads_are_those_they_own_and_those_with_a_run_of_theirs(write: Write) -> None:
    write("owned", user_id="bob", at=NOW)
    write("visited", [run("v1"), run("v2", user_id="bob")], user_id="alice", at=NOW + 1)
    write("foreign", user_id="alice", at=NOW + 2)
    for sort in threads.SORTS:
        assert set(ids(Filter(user_id="bob"), sort=sort)) == {"owned", "visited"}
    assert ids(Filter(user_id="bob")) == ["visited", "owned"]
    assert ids(Filter(user_id="nobody")) == []


def test_what_a_user_owns_and_what_they_took_part_in_are_told_apart(write: Write) -> None:
    write("owned", [run("o1", status="ERROR"), run("o2", user_id="alice")], user_id="bob", at=NOW)
    write("visited", [run("v1"), run("v2", user_id="bob")], user_id="alice", at=NOW + 1)
    write("nobodys", [run("n1", user_id="bob")], user_id=None, at=NOW - 1)
    for sort in threads.SORTS:
        assert ids(Filter(user_id="bob", part="owned"), sort=sort) == ["owned"]
        assert set(ids(Filter(user_id="bob", part="joined"), sort=sort)) == {"visited", "nobodys"}
    assert ids(Filter(user_id="bob", part="joined", errors=True)) == []
    # without a user it says nothing
    assert len(ids(Filter(part="owned"))) == 3


def test_the_empty_user_is_a_user_and_no_user_is_not(write: Write) -> None:
    write("empty", user_id="")
    write("none", user_id=None)
    assert ids(Filter(user_id="")) == ["empty"]


def test_it_filters_by_status_errors_sharing_and_time(write: Write) -> None:
    write("fine", at=NOW)
    write("failed", [run("f1", status="ERROR")], at=NOW - 100)
    write("mended", [run("m1", status="ERROR", at=NOW - 9), run("m2")], at=NOW - 200)
    write("both", [run("b1"), run("b2", user_id="bob")], at=NOW - 300)
    assert ids(Filter(status="ERROR")) == ["failed"]
    assert ids(Filter(errors=True)) == ["failed", "mended"]
    assert ids(Filter(shared=True)) == ["both"]
    assert ids(Filter(since=NOW - 200)) == ["fine", "failed", "mended"]
    assert ids(Filter(until=NOW - 200)) == ["both"]
    assert ids(Filter(since=NOW - 200, until=NOW)) == ["failed", "mended"]
    assert ids(Filter(errors=True, status="COMPLETED")) == ["mended"]
    assert ids(Filter(user_id="bob", shared=True, since=NOW - 300, until=NOW)) == ["both"]
    assert ids(Filter(user_id="bob", since=NOW)) == []
    assert ids(Filter(status="no such")) == []


def test_search_looks_into_titles_previews_and_ids(write: Write) -> None:
    write("s-named", session_data={"session_name": "Invoice 100%"})
    write("s-talked", [run("t1", "Où est mon COLIS ?", "Straße")], user_id="Zoë")
    write("s-shared", [run("h1"), run("h2", user_id="Visitor_9")])
    write("s-orphan", [run("o1", user_id="lonely")], user_id=None)
    assert ids(Filter(q="invoice")) == ["s-named"]
    assert ids(Filter(q="colis")) == ["s-talked"]
    assert ids(Filter(q="STRAß")) == ["s-talked"]
    assert ids(Filter(q="zoë")) == ["s-talked"]
    assert ids(Filter(q="S-SHAR")) == ["s-shared"]
    assert ids(Filter(q="visitor_")) == ["s-shared"]
    assert ids(Filter(q="lonely")) == ["s-orphan"]
    assert ids(Filter(q="nowhere")) == []


@pytest.mark.parametrize("q", ["%", "_", "\\", "100%", "'", '"; drop table memory_thread; --', "%s", "%(q)s", "{q}"])
def test_search_takes_every_character_as_it_is(write_one: Write, q: str) -> None:
    write_one("other", session_data={"session_name": "Nothing"})
    assert ids(Filter(q=q)) == []
    write_one("it", session_data={"session_name": f"a {q} b"})
    assert ids(Filter(q=q)) == ["it"]


def test_search_without_content_does_not_match_texts(write: Write) -> None:
    write("s1", [run("r1", "a secret question", "a secret answer")])
    assert ids(Filter(q="secret")) == ["s1"]
    assert ids(Filter(q="secret"), content=False) == []
    assert list_threads(Filter(q="secret"), content=False).count == 0
    assert matching_ids(Filter(q="secret"), 10, content=False) == []


def test_ids_that_match_are_those_of_the_list(write: Write) -> None:
    for n in range(4):
        write(f"s{n}", [run(f"r{n}", status="ERROR" if n % 2 else "COMPLETED")])
    for filter in (Filter(), Filter(user_id="alice@example.com"), Filter(errors=True), Filter(q="s1")):
        assert sorted(matching_ids(filter, 10)) == sorted(ids(filter))
    assert len(matching_ids(Filter(), 3)) == 3


# Counts


def test_a_small_count_is_exact(write_one: Write) -> None:
    for n in range(4):
        write_one(f"s{n}", user_id="bob" if n else "alice")
    for filter, count in ((Filter(), 4), (Filter(user_id="bob"), 3), (Filter(status="COMPLETED"), 4)):
        page = list_threads(filter, limit=1)
        assert (page.count, page.count_is_exact) == (count, True)


def test_a_filtered_count_stops_at_its_cap_and_says_so(write_one: Write, count_to: Callable[..., None]) -> None:
    count_to(COUNT_CAP=3)
    for n in range(5):
        write_one(f"s{n}")
    page = list_threads(Filter(status="COMPLETED"), limit=1)
    assert (page.count, page.count_is_exact, page.count_is_floor) == (3, False, True)


def test_a_large_index_is_estimated_and_says_so(
    write_one: Write, analyze: Callable[..., None], count_to: Callable[..., None]
) -> None:
    count_to(EXACT_UP_TO=3)
    for n in range(5):
        write_one(f"s{n}")
    analyze("memory_thread")
    page = list_threads(Filter(), limit=1)
    assert (page.count, page.count_is_exact, page.count_is_floor) == (5, False, False)
    assert list_threads(Filter()).count_is_exact  # all on one page
