"""Transcripts are read in the order and at the time that is true."""

import re
from typing import Any

import pytest

from tests.memory.field.rows import NOW, Studio, said, turn


def order(studio: Studio, session_id: str, *texts: str) -> None:
    """Assert that a thread is read in this order on its page and in the API, oldest first and newest first."""
    shown = studio.runs(session_id, "?order=oldest")
    assert sorted(texts, key=shown.index) == list(texts)
    shown = studio.runs(session_id)
    assert sorted(texts, key=shown.index, reverse=True) == list(texts)
    messages = [one["content"] for one in studio.read(session_id, "/messages")["items"]]
    assert [one for one in messages if one in texts] == list(texts)


def test_01_order_of_turns(studio: Studio) -> None:
    """Two processes of agno 2.5.14 answer in turn; each stamps a run with the second of its own start."""
    at = [NOW - 90, NOW - 60, NOW - 30]
    runs = [
        turn("o1", "one", "a one", created_at=NOW - 600, user_id="ola"),
        turn("o2", "two", "a two", created_at=NOW - 500, user_id="ola"),
        turn("o3", "three", "boom", created_at=NOW - 600, user_id="ola") | {"status": "ERROR"},
    ]
    for run, time in zip(runs, at, strict=True):
        for message in run["messages"]:
            message["created_at"] = time
    runs[2]["messages"].pop()
    studio.thread("order-1", runs)
    order(studio, "order-1", "one", "two", "three")
    thread = studio.read("order-1")
    assert (thread["last_status"], thread["errors"]) == ("ERROR", 1)
    assert studio.found(status="ERROR") == ["order-1"]
    assert "boom" in studio.listed("?q=one")
    assert [one["created_at"] for one in studio.read("order-1", "/runs")["items"]] == at
    (user,) = studio.api.get(f"agents/{studio.agent.pk}/users")["items"]
    assert (user["first_seen"], user["last_seen"]) == (at[0], at[2])


def test_a_clock_that_stepped_back_shuffles_nothing(studio: Studio, where: str) -> None:
    """The owner's runs are read as Agno numbered them."""
    runs = [turn(f"r{n}", f"q{n}", f"a{n}", created_at=NOW - 100 + step) for n, step in enumerate((0, 50, -900, 60))]
    studio.both("s", runs, where)
    order(studio, "s", "q0", "q1", "q2", "q3")


def test_a_shared_thread_of_agno_3_is_read_by_time(studio: Studio) -> None:
    """Agno numbers the runs of who is not the owner from 0, each time anew."""
    speakers = [("ola", 0), ("bob", 0), ("ola", 2), ("bob", 0), ("ola", 4), ("eve", 0)]
    runs = [
        turn(f"r{9 - n}", f"q{n}", f"a{n}", user_id=user, index=index, created_at=NOW - 100 + n)
        for n, (user, index) in enumerate(speakers)
    ]
    studio.table("s", runs)
    order(studio, "s", *(f"q{n}" for n in range(6)))
    assert "The model reads them in another order" in studio.transcript("s")
    assert "a5" in studio.listed("?q=q0")


def test_a_thread_that_the_model_reads_in_the_same_order_does_not_say_so(studio: Studio, where: str) -> None:
    studio.both("s", [turn(f"r{n}", f"q{n}", "a", created_at=NOW + n) for n in range(3)], where)
    assert "another order" not in studio.transcript("s")


def test_a_shared_thread_whose_owner_s_clock_stepped_back(studio: Studio) -> None:
    times = [("ola", 0, 10), ("ola", 1, 5), ("bob", 0, 12), ("ola", 3, 14)]
    runs = [
        turn(f"r{n}", f"q{n}", "a", user_id=user, index=index, created_at=NOW + at)
        for n, (user, index, at) in enumerate(times)
    ]
    studio.table("s", runs)
    order(studio, "s", "q0", "q1", "q2", "q3")


def test_a_row_stands_where_the_element_of_its_id_stood(studio: Studio) -> None:
    studio.thread("s", [turn(f"r{n}", f"old{n}", "a", created_at=NOW + n) for n in range(3)])
    studio._write(
        "insert into agno_runs (run_id, session_id, run_type, run_index, run_data, created_at)"
        " values (%s, 's', 'agent', %s, %s, %s)",
        ["r1", 9, '{"run_id": "r1", "messages": [{"role": "user", "content": "new1"}]}', NOW + 99],
    )
    order(studio, "s", "old0", "new1", "old2")
    assert "old1" not in studio.transcript("s")


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_06_milliseconds(studio: Studio, where: str, unit: int) -> None:
    old = NOW - 90 * 86_400
    stored = old * unit
    runs = [{"run_id": "ms1", "messages": [said("user", "old question", created_at=stored)], "created_at": stored}]
    studio.both("ms-1", runs, where, at=stored)
    studio.thread("today", [turn("t", "q", "a", created_at=NOW)])
    assert studio.found(since=NOW - 86_400) == ["today"]
    assert studio.found(until=NOW - 60 * 86_400) == ["ms-1"]
    assert studio.found() == ["today", "ms-1"]
    assert "old question" not in studio.listed("?active=24h")
    thread = studio.read("ms-1")
    assert (thread["created_at"], thread["updated_at"], thread["last_activity"]) == (old, old, old)
    (run,) = studio.read("ms-1", "/runs")["items"]
    assert (run["created_at"], run["messages"][0]["created_at"]) == (old, old)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        *((str(NOW - 90 * 86_400), 90), (f"{NOW - 90 * 86_400}000", 90), (NOW - 90 * 86_400 + 0.5, 90)),
        *((one, None) for one in ("1e9", " 12 ", "1_000_000_000", "-5", "yesterday", "2026-01-01T00:00:00Z", True, "")),
    ],
    # not by their values, which differ in each process that collects them
    ids=lambda value: "now" if str(NOW - 90 * 86_400) in str(value) else None,
)
def test_a_time_that_is_a_text_is_read_alike_everywhere(studio: Studio, where: str, stored: Any, read: int) -> None:
    messages = [said("user", "q", created_at=stored), said("assistant", "a")]
    studio.both("s", [{"run_id": "r", "messages": messages, "created_at": NOW}], where)
    (run,) = studio.read("s", "/runs")["items"]
    at = None if read is None else NOW - read * 86_400
    assert (run["messages"][0]["created_at"], run["created_at"]) == (at, at or NOW)


@pytest.mark.parametrize("nothing", [0, -5, -(10**12)])
def test_a_time_that_is_none_is_not_shown_as_one(studio: Studio, where: str, nothing: int) -> None:
    runs = [{"run_id": "r", "created_at": nothing, "messages": [said("user", "hello", created_at=nothing)]}]
    studio.both("s", runs, where, at=nothing)
    studio.thread("today", [turn("t", "q", "a", created_at=NOW)])
    assert "1970" not in studio.listed() + studio.transcript("s")
    assert "no valid time" in studio.listed()
    assert studio.found() == ["today", "s"]
    assert studio.read("s")["created_at"] is None
    (run,) = studio.read("s", "/runs")["items"]
    assert (run["created_at"], run["messages"][0]["created_at"]) == (None, None)


def test_a_time_to_come_is_shown_as_what_it_is(studio: Studio, where: str) -> None:
    later = NOW + 400 * 86_400
    studio.both("s", [turn("r", "q", "a", created_at=later)], where, at=later)
    assert studio.read("s")["created_at"] == later
    assert str(1970 + later // 31_556_952) in studio.transcript("s")


def test_18_same_run_id(studio: Studio) -> None:
    runs = [turn("same", f"question {n}", "word " * 2500 + f"END-{n}", created_at=NOW + n) for n in range(2)]
    studio.thread("same-1", runs)
    path = f"/agents/{studio.agent.pk}/threads/same-1/"
    shown = studio.page.get(path).content.decode()
    links = dict.fromkeys(link.replace("&amp;", "&") for link in re.findall(rf'href="({path}runs/[^"]*)"', shown))
    for part in ("part=", ""):
        answers = {studio.file(link) for link in links if ("part=" in link) == bool(part)}
        assert sorted(("END-0" in one, "END-1" in one) for one in answers) == [(False, True), (True, False)]
    items = studio.read("same-1", "/runs")["items"]
    assert [one["messages"][1]["content"][-5:] for one in items] == ["END-0", "END-1"]
    for n in range(2):
        first = studio.page.get(f"{path}?run=same&at={n}").content.decode()
        assert first.index(f"question {n}") < first.index("</article>")
