"""The history that the studio says is sent, against what the real libraries send to a model."""

from typing import Any

import pytest

from memory.history.agno_order import Stored
from memory.history.question import Generation, Settings
from memory.history.thread import Thread
from tests.conformance import environments
from tests.conformance.history import differences
from tests.conformance.library import Library, Step, talk
from tests.server import ServedAgent, StudioServer

# num_history_runs, max_tool_calls_from_history; 0 is no cap here
SETTINGS = [(1, 0), (3, 0), (3, 1), (10, 2), (10, 0)]

TOOL = '/look_up {"number": "1"}'
TURNS = [f"One {TOOL}", "Two", f"Three {TOOL} and {TOOL}", "Four", f"Five {TOOL}", f"Six {TOOL} {TOOL} {TOOL}"]
MORE = ["Seven", f"Eight {TOOL}", "Nine"]

RUNS = {
    environments.AGNO_2: "select jsonb_array_elements(runs) from agno_sessions where session_id = %s",
    environments.AGNO_3: "select run_data from agno_runs where session_id = %s order by run_index",
}


def conversation(session_id: str, runs: int, cap: int) -> list[Step]:
    settings = {"num_history_runs": runs, **({"max_tool_calls_from_history": cap} if cap else {})}
    return [
        talk(session_id, *TURNS, **settings),
        {"do": "end", "session_id": session_id, "number": 5, "status": "ERROR"},
        {"do": "end", "session_id": session_id, "number": 3, "status": "PAUSED"},
        talk(session_id, *MORE, **settings),
    ]


def outline(message: dict[str, Any]) -> dict[str, Any]:
    """A stored message as `echo.plain` writes it."""
    return {
        "role": message["role"],
        "content": message.get("content"),
        "calls": [call["id"] for call in message.get("tool_calls") or []],
        "result_of": message.get("tool_call_id"),
        "from_history": True,
    }


def predicted(version: str, runs: list[dict[str, Any]], depth: int, cap: int) -> list[dict[str, Any]]:
    thread = Thread.read(Stored(column=runs or None), Generation.of(version.removeprefix("agno-")))
    settings = Settings(num_history_runs=depth, max_tool_calls_from_history=cap or None)
    return [message.value for message in thread.answer(settings).messages]


@pytest.mark.parametrize("version", [environments.AGNO_2, environments.AGNO_3])
def test_the_model_is_sent_what_the_studio_says(studio_server: StudioServer, agent: ServedAgent, version: str) -> None:
    threads = {f"{version} {runs} {cap}": (runs, cap) for runs, cap in SETTINGS}
    steps = [step for thread, settings in threads.items() for step in conversation(thread, *settings)]
    answers = Library(version, agent.dsn, agent.schema)(*steps)
    for number, (thread, (depth, cap)) in enumerate(threads.items()):
        before, _, _, after = answers[4 * number : 4 * number + 4]
        stored = [run for (run,) in studio_server.sql(RUNS[version], thread, schema=agent.schema)]
        assert [run["status"] for run in stored].count("COMPLETED") == 7
        # The first turns were sent before two of their runs ended otherwise.
        completed = [{**run, "status": "COMPLETED"} for run in stored]
        for turn, sent in enumerate([*before, *after]):
            runs = (completed if turn < len(TURNS) else stored)[:turn]
            history = [outline(message) for message in predicted(version, runs, depth, cap)]
            assert (thread, turn, sent[:-1]) == (thread, turn, history)
            assert sent[-1]["content"] == (TURNS + MORE)[turn]


@pytest.mark.parametrize("version", ["2.5", "3.1"])
def test_random_threads_are_sent_as_the_studio_says(studio_server: StudioServer, version: str) -> None:
    schema = f"asked_{version[0]}"
    found = differences(version, studio_server.dsn, schema, turns=240, seed=5)
    assert [str(one) for one in found] == []
