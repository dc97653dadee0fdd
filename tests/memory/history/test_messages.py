"""Which messages of a thread are sent. The expected ids are what agno 2.5.14 and 3.1.10 gave for these runs."""

from typing import Any

import pytest

from tests.memory.history.threads import MIDDLE, NEW, OLD, ask, calls, fates, ids, result, row, run, said, thread

TOOLS = [
    run("1", said("u1"), calls("c1", "x", "y"), result("rx", "x"), result("ry", "y"), said("a1", "assistant")),
    run("2", said("u2"), calls("c2", "z", content="Let me see."), result("rz", "z"), said("a2", "assistant")),
]

# name: runs, depth, cap, ids that are sent
CASES: dict[str, tuple[list[dict[str, Any]], int | None, int | None, str]] = {
    "the last runs": ([run("1"), run("2"), run("3")], 2, None, "2.u 2.a 3.u 3.a"),
    "three by default": ([run("1"), run("2"), run("3"), run("4")], None, None, "2.u 2.a 3.u 3.a 4.u 4.a"),
    "more than there are": ([run("1")], 10, None, "1.u 1.a"),
    "no runs": ([], 10, None, ""),
    "failed runs do not count": (
        [run("1"), run("2", status="ERROR"), run("3", status="PAUSED"), run("4", status="CANCELLED"), run("5")],
        2,
        None,
        "1.u 1.a 5.u 5.a",
    ),
    "a status counts as it is written": (
        [run("1", status="Paused"), run("2", status=None)],
        5,
        None,
        "1.u 1.a 2.u 2.a",
    ),
    "unfinished runs count": ([run("1", status="RUNNING"), run("2", status="PENDING")], 5, None, "1.u 1.a 2.u 2.a"),
    "sub-runs do not count": ([run("1"), run("2", parent_run_id="1"), run("3")], 2, None, "1.u 1.a 3.u 3.a"),
    "an empty parent is one": ([run("1", parent_run_id=""), run("2", parent_run_id=None)], 5, None, "2.u 2.a"),
    "runs of nobody are not read": ([run("1"), {"run_id": "2", "messages": [said("u")]}], 5, None, "1.u 1.a"),
    "runs of a team count": ([{"run_id": "1", "team_id": "t", "messages": [said("u")]}], 5, None, "u"),
    "runs of another agent and user count": ([run("1", agent_id="b", user_id="bob")], 5, None, "1.u 1.a"),
    "an early wrapping is read": ([{"agent_id": "a", "run": run("1")}], 5, None, "1.u 1.a"),
    "a run without messages counts": ([run("1"), {"agent_id": "a"}, run("3")], 2, None, "3.u 3.a"),
    "system messages and copies stay out": (
        [run("1", said("s", "system"), said("h", from_history=True), said("u"), said("d", "developer"))],
        5,
        None,
        "u d",
    ),
    "the words for true are true": (
        [run("1", *(said(f"m{n}", from_history=word) for n, word in enumerate(("false", "YES", 1, 0, "t", "off"))))],
        5,
        None,
        "m0 m3 m5",
    ),
    "empty contents are sent": ([run("1", said("u", content=""), said("a", "model", content=None))], 5, None, "u a"),
    "all tool calls without a cap": (TOOLS, 5, None, "u1 c1:x,y rx ry a1 u2 c2:z rz a2"),
    "a cap that is not reached": (TOOLS, 5, 3, "u1 c1:x,y rx ry a1 u2 c2:z rz a2"),
    "the newest results stay": (TOOLS, 5, 2, "u1 c1:y ry a1 u2 c2:z rz a2"),
    "a message left empty goes": (TOOLS, 5, 1, "u1 a1 u2 c2:z rz a2"),
    "a cap of 0 drops all": (TOOLS, 5, 0, "u1 a1 u2 c2 a2"),
    "a message left with text stays": (
        [*TOOLS, run("3", said("u3"), calls("c3", "w"), result("rw", "w"))],
        5,
        1,
        "u1 a1 u2 c2 a2 u3 c3:w rw",
    ),
    "the cap is of the whole window": ([*TOOLS, run("3")], 2, 1, "u2 c2:z rz a2 3.u 3.a"),
    "one id, called twice": (
        [run("1", calls("c1", "x"), result("r1", "x")), run("2", calls("c2", "x"), result("r2", "x"))],
        5,
        1,
        "c1:x r1 c2:x r2",
    ),
    "one id is noted twice": (
        [run("1", calls("c1", "y"), result("r1", "y"), calls("c2", "x"), result("r2", "x"), result("r3", "x"))],
        5,
        2,
        "c2:x r2 r3",
    ),
    "a result without an id goes with a cap": (
        [run("1", calls("c1", "x"), result("r1", "x"), result("r2", None), result("r3", None))],
        5,
        1,
        "c1:x r1",
    ),
    "calls whose results have other ids go": (
        [run("1", calls("c1", "fc_1"), result("r1", "call_1"), calls("c2", "fc_2"), result("r2", "call_2"))],
        5,
        1,
        "r2",
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("is_team", [False, True], ids=["agent", "team"])
def test_it_sends_what_agno_sends(name: str, is_team: bool) -> None:
    runs, depth, cap, expected = CASES[name]
    table = [row(item, n) for n, item in enumerate(runs)]
    assert ids(ask(thread(*runs, is_team=is_team), depth, cap)) == expected
    assert ids(ask(thread(table=table, version=NEW, is_team=is_team), depth, cap)) == expected


@pytest.mark.parametrize(
    ("version", "is_team", "expected"),
    [(OLD, False, "1 2"), (MIDDLE, True, "1 2"), (MIDDLE, False, "1"), (NEW, False, "1"), (NEW, True, "1")],
)
def test_a_regenerated_run_is_sent_by_versions_that_do_not_know_it(version: Any, is_team: bool, expected: str) -> None:
    runs = [run("1", said("1")), run("2", said("2"), status="REGENERATED")]
    assert ids(ask(thread(*runs, version=version, is_team=is_team))) == expected


def test_a_depth_below_one_is_all_or_nothing() -> None:
    runs = [run(n, said(n)) for n in "123"]
    assert [ids(ask(thread(*runs), depth)) for depth in (0, -1, -2)] == ["1 2 3", "2 3", "3"]
    assert [ids(ask(thread(*runs, version=MIDDLE), depth)) for depth in (0, -1)] == ["", ""]
    assert [ids(ask(thread(*runs, version=NEW), depth)) for depth in (0, -1)] == ["", ""]


def test_messages_may_be_counted_in_place_of_runs() -> None:
    runs = [run("1", said("u"), calls("c", "x"), result("r", "x"), said("a", "assistant")), run("2", status="ERROR")]
    expected = {1: "a", 2: "a", 3: "c:x r a", 9: "u c:x r a"}
    for version in (OLD, NEW):
        told = {most: ids(ask(thread(*runs, version=version), None, num_history_messages=most)) for most in expected}
        assert told == expected
    assert ids(ask(thread(*runs), None, num_history_messages=0)) == "u c:x r a"
    assert ids(ask(thread(*runs, version=NEW), None, num_history_messages=0)) == ""
    assert ids(ask(thread(*runs), 1, num_history_messages=1)) == "u c:x r a"


def test_system_messages_stay_for_an_agent_whose_own_have_another_role() -> None:
    runs = [run(n, said(f"s{n}", "system"), said(f"d{n}", "developer"), said(f"u{n}")) for n in "12"]
    for role, expected in {"user": "s1 d1 u1 d2 u2", "developer": "s1 u1 u2", None: "d1 u1 d2 u2"}.items():
        assert ids(ask(thread(*runs), system_message_role=role)) == expected
    counted = {1: "s1 d1 u1 d2 u2", 2: "s1 u2", 3: "s1 d2 u2"}
    for most, expected in counted.items():
        answer = ask(thread(*runs), None, system_message_role="user", num_history_messages=most)
        assert ids(answer) == expected
    newer = ask(thread(*runs, version=NEW), None, system_message_role="user", num_history_messages=1)
    assert ids(newer) == "s1"


def test_fates_of_a_cut_window() -> None:
    answer = ask(thread(run("0", said("s", "system"), said("u"), said("h", from_history=True)), *TOOLS), 2, 1)
    assert fates(answer, "c0") == ["instructions", "beyond the depth", "copy"]
    assert fates(answer, "c1") == ["sent", "result dropped", "result dropped", "result dropped", "sent"]
    assert fates(ask(thread(*TOOLS), 5, 0), "c1") == ["sent", "calls cut", "result dropped", "sent"]


def test_fates_of_runs_that_do_not_count() -> None:
    one = thread(run("1", said("u")), run("2", said("u"), status="ERROR"), run("3", said("u"), parent_run_id="1"), {})
    answer = ask(one)
    assert [fates(answer, f"c{n}") for n in range(4)] == [["sent"], ["ended badly"], ["sub-run"], []]
    assert fates(ask(thread(run("1"), {"messages": [said("u")]})), "c1") == ["not Agno's"]


def test_moving_the_depth_changes_nothing_that_was_read() -> None:
    one = thread(*TOOLS, *(run(str(n)) for n in range(3, 60)))
    before = [ids(ask(one, depth, 1)) for depth in range(1, 51)]
    assert [ids(ask(one, depth, 1)) for depth in range(50, 0, -1)] == before[::-1]
    assert TOOLS[0]["messages"][1]["tool_calls"][0]["id"] == "x"
