"""Lists of users, over runs in the column, in the table, and in both."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from memory.index import users
from memory.index.users import get_user, list_users, user_key
from studio.models import Agent
from tests.memory.index.lists import plans_of
from tests.world import LAYOUTS, NOW, ODD_IDS, run, write_thread


def ids(*args: Any, **more: Any) -> list[str]:
    return [row["user_id"] for row in list_users(*args, **more).rows]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_user_is_told_with_threads_runs_and_times(ada: Agent, here: None, layout: str) -> None:
    runs = [run("r1", at=NOW - 50), run("r2", at=NOW - 20, user_id="bob"), run("r3", at=NOW - 10, user_id="bob")]
    write_thread(ada, "s1", runs, layout=layout, user_id="alice", at=NOW - 60)
    write_thread(ada, "s2", [run("r4", at=NOW - 5)], layout=layout, user_id="bob", at=NOW - 60)
    assert (
        list_users(sort="runs").rows[0].items()
        >= {
            "user_id": "bob",
            "threads": 2,
            "runs": 3,
            "first_at": NOW - 20,
            "seen_at": NOW - 5,
        }.items()
    )
    assert get_user("alice") == {
        "user_id": "alice",
        "threads": 1,
        "runs": 1,
        "first_at": NOW - 50,
        "seen_at": NOW - 50,
    }


def test_each_sort_orders_by_its_own_number(ada: Agent, here: None) -> None:
    write_thread(ada, "a1", [run("a1"), run("a2"), run("a3")], user_id="a", at=NOW - 9)
    write_thread(ada, "b1", [run("b1", at=NOW - 5)], user_id="b", at=NOW)
    write_thread(ada, "b2", [run("b2", at=NOW - 5)], user_id="b", at=NOW)
    write_thread(ada, "c1", [run("c1", at=NOW + 9)], user_id="c", at=NOW)
    assert ids(sort="seen") == ids() == ids(sort="no such sort") == ["c", "a", "b"]
    assert ids(sort="threads")[0] == "b"
    assert ids(sort="runs") == ["a", "b", "c"]


@pytest.mark.parametrize("sort", users.SORTS)
@pytest.mark.parametrize("q", ["", "u"])
def test_pages_meet_without_a_gap_in_both_directions(ada: Agent, here: None, sort: str, q: str) -> None:
    for n in range(8):
        write_thread(ada, f"s{n}", [run(f"r{n}-{k}", at=NOW + n // 2) for k in range(1 + n // 3)], user_id=f"u{n}")
    whole = ids(q, sort)
    page, there = list_users(q, sort, limit=3), []
    while True:
        there += [row["user_id"] for row in page.rows]
        assert (page.count, page.count_is_exact) == (8, True)
        if not page.older:
            break
        page = list_users(q, sort, page.older, limit=3)
    assert there == whole
    back = [row["user_id"] for row in page.rows]
    while page.newer:
        page = list_users(q, sort, page.newer, limit=3)
        back = [row["user_id"] for row in page.rows] + back
    assert back == whole


def test_search_is_by_prefix_in_any_case(ada: Agent, here: None) -> None:
    for n, user_id in enumerate(["Alice", "ALICIA", "malice", "Élodie", "a%b", "a_b", "axb", "a\\b"]):
        write_thread(ada, f"s{n}", user_id=user_id)
    assert set(ids("ali")) == set(ids("ALI")) == {"Alice", "ALICIA"}
    assert ids("élo") == ["Élodie"]
    assert ids("a%") == ["a%b"]
    assert ids("a_") == ["a_b"]
    assert ids("a\\") == ["a\\b"]
    assert ids("zz") == []


def test_search_tells_long_ids_apart_behind_their_first_200_characters(ada: Agent, here: None) -> None:
    write_thread(ada, "s1", user_id="x" * 300 + "1")
    write_thread(ada, "s2", user_id="x" * 300 + "2")
    assert ids("X" * 300 + "2") == ["x" * 300 + "2"]
    assert len(ids("x" * 250)) == 2
    assert ids("x" * 500) == []


@pytest.mark.parametrize("odd", ODD_IDS)
def test_any_id_is_listed_found_and_read(ada: Agent, here: None, odd: str) -> None:
    write_thread(ada, "s1", user_id=odd)
    assert ids() == [odd]
    assert ids(odd) == [odd]
    user = get_user(odd)
    assert user is not None
    assert user["user_id"] == odd


def test_a_thread_without_a_user_makes_no_user(ada: Agent, here: None) -> None:
    write_thread(ada, "s1", user_id=None)
    assert ids() == []
    assert get_user("") is None
    assert get_user("nobody") is None


def test_it_lists_one_agents_users_only(ada: Agent, bruno: Agent, here: None) -> None:
    write_thread(bruno, "s1", user_id="his")
    assert ids() == []
    assert get_user("his") is None


def test_the_key_is_the_databases(here: None) -> None:
    with connection.cursor() as cursor:
        for text in ("", "alice", "שלום 👩‍🚀", "x" * 4096):
            cursor.execute("select memory_key(%s)", [text])
            assert cursor.fetchone() == (user_key(text),)


def test_a_foreign_cursor_is_a_value_error(ada: Agent, here: None) -> None:
    from memory.index.paging import Cursor

    foreign = [Cursor("users:seen", 1, "not a key")]
    foreign += [Cursor(kind, 1, "0" * 32) for kind in ("users:runs", "threads:seen", "seen")]
    assert list_users(cursor=Cursor("users:seen", 1, "0" * 32).write()).rows == []
    for token in ("x", *(cursor.write() for cursor in foreign)):
        with pytest.raises(ValueError):
            list_users(cursor=token)


def test_counts_stop_at_their_cap_and_say_so(ada: Agent, here: None, count_to: Callable[..., None]) -> None:
    count_to(COUNT_CAP=2)
    for n in range(4):
        write_thread(ada, f"s{n}", user_id=f"u{n}")
    page = list_users("u", limit=1)
    assert (page.count, page.count_is_exact, page.count_is_floor) == (2, False, True)
    page = list_users(limit=1)
    assert (page.count, page.count_is_exact) == (4, True)


@pytest.mark.parametrize(
    ("q", "sort", "index"),
    [
        ("", "seen", "memory_user_seen"),
        ("", "threads", "memory_user_threads"),
        ("", "runs", "memory_user_runs"),
        ("user12", "seen", "memory_user_folded"),
    ],
)
def test_every_list_has_its_index(
    here: None, analyze: Callable[..., None], monkeypatch: pytest.MonkeyPatch, q: str, sort: str, index: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into memory_user (user_key, user_id, threads, runs, first_at, seen_at)
            select memory_key('user' || n), 'user' || n, n %% 31, n %% 57, %s, %s + n
            from generate_series(1, 4000) n""",
            [NOW, NOW],
        )
    analyze("memory_user")
    older = list_users(q, sort, limit=10).older or ""
    plans = [plan for at in ("", older) for plan in plans_of(monkeypatch, lambda at=at: list_users(q, sort, at))]
    for plan in plans:
        page = plan.split("CTE page")[1].split("InitPlan")[0]
        assert index in page
        assert "Seq Scan" not in page
        assert q or "Sort" not in page
