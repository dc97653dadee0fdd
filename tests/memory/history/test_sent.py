"""What the model is sent. The expected ids are what agno 2.5.14 and 3.1.10 gave for these runs."""

import json
from typing import Any

import pytest

from memory.history.sent import is_sent
from memory.transcript.parse import parse_run
from tests.memory.history.rules import messages_sent, runs_sent


def said(message_id: str, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"id": message_id, "role": role, "content": f"text of {message_id}", **more}


def calls(message_id: str, *call_ids: str, content: str | None = None) -> dict[str, Any]:
    tool_calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in call_ids]
    return {"id": message_id, "role": "assistant", "content": content, "tool_calls": tool_calls}


def result(message_id: str, call_id: str | None) -> dict[str, Any]:
    return {"id": message_id, "role": "tool", "content": "42", "tool_call_id": call_id}


def run(run_id: str, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    messages = messages or (said(f"{run_id}.u"), said(f"{run_id}.a", "assistant"))
    return {"run_id": run_id, "agent_id": "a", "status": "COMPLETED", "messages": list(messages), **more}


TOOLS = [
    run("1", said("u1"), calls("c1", "x", "y"), result("rx", "x"), result("ry", "y"), said("a1", "assistant")),
    run("2", said("u2"), calls("c2", "z", content="Let me see."), result("rz", "z"), said("a2", "assistant")),
]

# name: runs, num_history_runs, max_tool_calls_from_history, ids that are sent
CASES: dict[str, tuple[list[dict[str, Any]], int, int, str]] = {
    "the last runs": ([run("1"), run("2"), run("3")], 2, 0, "2.u 2.a 3.u 3.a"),
    "more than there are": ([run("1")], 10, 0, "1.u 1.a"),
    "no runs": ([], 10, 0, ""),  # an empty array makes 2.5 raise; it writes null
    "failed runs do not count": (
        [run("1"), run("2", status="ERROR"), run("3", status="PAUSED"), run("4", status="CANCELLED"), run("5")],
        2,
        0,
        "1.u 1.a 5.u 5.a",
    ),
    "unfinished runs count": ([run("1", status="RUNNING"), run("2", status="PENDING")], 5, 0, "1.u 1.a 2.u 2.a"),
    "sub-runs do not count": ([run("1"), run("2", parent_run_id="1"), run("3")], 2, 0, "1.u 1.a 3.u 3.a"),
    "runs of nobody are not read": ([run("1"), {"run_id": "2", "messages": [said("u")]}], 5, 0, "1.u 1.a"),
    "runs of a team count": ([{"run_id": "1", "team_id": "t", "messages": [said("u")]}], 5, 0, "u"),
    "system messages and copies stay out": (
        [run("1", said("s", "system"), said("h", from_history=True), said("u"), said("d", "developer"))],
        5,
        0,
        "u d",
    ),
    "all tool calls without a cap": (TOOLS, 5, 0, "u1 c1:x,y rx ry a1 u2 c2:z rz a2"),
    "a cap that is not reached": (TOOLS, 5, 3, "u1 c1:x,y rx ry a1 u2 c2:z rz a2"),
    "the newest results stay": (TOOLS, 5, 2, "u1 c1:y ry a1 u2 c2:z rz a2"),
    "a message left empty goes": (TOOLS, 5, 1, "u1 a1 u2 c2:z rz a2"),
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
    "a result without an id goes with a cap": (
        [run("1", calls("c1", "x"), result("r1", "x"), result("r2", None), result("r3", None))],
        5,
        1,
        "c1:x r1",
    ),
}


def ids(messages: list[dict[str, Any]]) -> str:
    words = []
    for message in messages:
        called = ",".join(call["id"] for call in message.get("tool_calls") or [])
        words.append(message["id"] + (f":{called}" if called else ""))
    return " ".join(words)


@pytest.mark.parametrize("name", CASES)
def test_it_sends_what_agno_sends(name: str) -> None:
    runs, window, cap, expected = CASES[name]
    assert ids(messages_sent(runs, window, cap)) == expected


def test_a_regenerated_run_is_not_sent() -> None:
    # agno 2.5 does not know this status
    assert runs_sent([run("1"), run("2", status="REGENERATED")], 5) == [run("1")]


def test_nothing_is_sent_of_no_runs() -> None:
    # as agno 3; 2.5 sends every run, so the studio does not save a 0
    assert messages_sent([run("1")], 0) == []


def test_a_parsed_run_is_judged_alike() -> None:
    for stored, expected in (
        (run("1"), True),
        (run("1", status="ERROR"), False),
        (run("1", parent_run_id="0"), False),
        ({"run_id": "1"}, False),
        ({"run_id": "1", "team_id": "t"}, True),
    ):
        assert is_sent(parse_run(json.dumps(stored))) is expected
        assert bool(runs_sent([stored], 1)) is expected


def test_it_does_not_change_what_it_is_given() -> None:
    messages_sent(TOOLS, 5, 1)
    assert TOOLS[0]["messages"][1]["tool_calls"][0]["id"] == "x"


def test_odd_messages_are_no_problem() -> None:
    odd = run("1", said("u"), status=None)
    odd["messages"] += [None, 5, "text", {"role": "assistant", "tool_calls": "no list"}, {"role": "tool"}]
    assert len(messages_sent([odd], 5, 1)) == 3
    assert messages_sent([{"agent_id": "a", "messages": "no list"}], 5) == []
