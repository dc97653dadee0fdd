"""A thread of any shape is answered: nothing that a foreign writer may have stored raises."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.history.agno_order import Stored, TableRow
from memory.history.answer import IS_SENT
from memory.history.question import Generation, Handle, Settings
from memory.history.thread import Thread
from tests.memory.history.threads import NEW, OLD, calls, result, run, said

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
SCALARS |= st.sampled_from(
    [10**400, -(2**63), "\x00", "\ud800", "true", "5.0", "1_0", "2026-11-22", "RunStarted", "ERROR"]
)
NAMES = st.sampled_from(
    [
        *(
            "run_id",
            "agent_id",
            "team_id",
            "parent_run_id",
            "status",
            "messages",
            "events",
            "tools",
            "input",
            "metrics",
        ),
        *("requirements", "references", "reasoning_steps", "member_responses", "run", "citations", "images", "details"),
        *("role", "content", "from_history", "tool_calls", "id", "tool_call_id", "created_at", "files", "audio_output"),
        *("summary", "updated_at", "event", "query", "options", "media_reference", "compaction"),
    ]
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6),
    max_leaves=20,
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool", "system"]), "content": ANYTHING})
MESSAGE |= st.sampled_from([said("u"), calls("c", "x", "y"), result("r", "x"), result("n", None), calls("o", ["x"])])
RUN = st.dictionaries(NAMES, ANYTHING, max_size=5) | st.builds(lambda messages: run("r", *messages), st.lists(MESSAGE))
ROW = st.builds(TableRow, st.text(max_size=3), st.none() | st.integers(), st.none() | st.integers(), RUN | ANYTHING)
STORED = st.builds(
    Stored,
    owner=st.sampled_from([None, "alice"]),
    session_type=st.sampled_from(["agent", "team", None]),
    summary=ANYTHING,
    session_data=st.none() | ANYTHING,
    metadata=st.none() | ANYTHING,
    column=ANYTHING | st.lists(RUN | ANYTHING, max_size=5),
    table=st.none() | st.lists(ROW, max_size=5),
)
NUMBER = st.none() | st.integers(-3, 60) | st.just(10**30)
ASKED = st.builds(
    Settings,
    num_history_runs=NUMBER,
    num_history_messages=NUMBER,
    max_tool_calls_from_history=NUMBER,
    session_summaries=st.booleans(),
    system_message_role=st.sampled_from([None, "", "user", "developer", "\x00"]),
)


@settings(max_examples=400, deadline=None)
@given(STORED, ASKED, st.sampled_from(Generation), st.booleans(), st.sampled_from([None, "alice"]))
def test_any_thread_is_answered(
    stored: Stored, asked: Settings, version: Generation, is_team: bool, speaker: str | None
) -> None:
    thread = Thread.read(stored, version, is_team=is_team)
    for handle in Handle:
        answer = thread.answer(asked, speaker, handle)
        assert sum(fate in IS_SENT for fates in answer.fates.values() for fate in fates) == len(answer.messages)
        assert bool(answer.why) <= (answer.messages == [])


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"team_id": "t", "member_responses": [value]}
    return value


@pytest.mark.parametrize("version", [OLD, NEW])
def test_runs_inside_runs_have_no_end(version: Generation) -> None:
    table = None if version is OLD else [TableRow("r", 0, 0, {"team_id": "t", "member_responses": [deep(50_000)]})]
    column = [{"team_id": "t", "member_responses": [deep(50_000)]}] if version is OLD else None
    answer = Thread.read(Stored(column=column, table=table), version).answer(Settings())
    assert answer.why == "unreadable"


def test_what_a_message_holds_may_be_nested_deeply() -> None:
    answer = Thread.read(Stored(column=[run("1", said("u", provider_data=deep(5_000)))]), OLD).answer(Settings())
    assert len(answer.messages) == 1


def test_what_was_read_is_not_changed() -> None:
    stored = run("1", said("u"), events=[{"event": "RunStarted", "agent_id": "a"}], tools=[{}], metrics={"a": 1})
    before = dict(stored)
    Thread.read(Stored(column=[stored]), OLD)
    assert stored == before
