"""Whether Agno finds and reads a thread, for whom, and what a turn does to one that it does not."""

from typing import Any

import pytest

from memory.history.agno_order import Stored
from memory.history.answer import Outcome, Why
from memory.history.question import Generation, Handle, Settings
from memory.history.thread import Thread
from tests.memory.history.threads import MIDDLE, NEW, OLD, ask, fates, ids, row, run, said, thread


def told(stored: Any, version: Any, speaker: str | None, handle: Handle = Handle.ASYNC) -> tuple[str, str, str]:
    answer = Thread.read(stored, version).answer(Settings(), speaker, handle)
    return str(answer.outcome), str(answer.why), ids(answer)


def test_each_speaker_of_an_owned_thread() -> None:
    for version, table in ((OLD, None), (NEW, [])):
        stored = Stored(owner="alice", column=[run("1", said("u"))], table=table)
        assert told(stored, version, "alice") == ("sent", "", "u")
        assert told(stored, version, None) == ("sent", "", "u")
    assert told(stored, OLD, "bob") == ("turn lost", "another owner", "")
    assert told(stored, NEW, "bob") == ("kept apart", "another owner", "")


def test_nobody_owns_a_thread() -> None:
    stored = Stored(owner=None, column=[run("1", said("u"))])
    assert told(stored, OLD, None) == ("sent", "", "u")
    assert told(stored, OLD, "alice") == ("begun anew", "no owner", "")
    assert told(stored, NEW, "alice") == ("summary lost", "no owner", "")


def test_one_value_makes_a_thread_unreadable() -> None:
    stored = Stored(owner="alice", column=[run("1", said("u", content=7)), run("2"), run("3")])
    assert told(stored, OLD, "alice") == ("begun anew", "unreadable", "")
    assert told(stored, NEW, "alice") == ("summary lost", "unreadable", "")
    assert told(stored, NEW, "alice", Handle.SYNC) == ("failed", "unreadable", "")
    answer = Thread.read(stored, OLD).answer(Settings(), "alice")
    assert answer.unreadable == "c0"
    assert {fate for key in ("c0", "c1", "c2") for fate in fates(answer, key)} == {"unreadable"}
    # who does not find it does not read it
    assert told(stored, OLD, "bob") == ("turn lost", "another owner", "")


def test_nothing_is_sent_without_storage() -> None:
    answer = ask(thread(run("1", said("u"), said("s", "system")), summary={"summary": "s"}), session_storage=False)
    assert (answer.outcome, answer.why, answer.messages, answer.summary) == ("not stored", "storage off", [], None)
    assert fates(answer, "c0") == ["nothing is sent", "instructions"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"session_data": []}, Why.SESSION_DATA),
        ({"session_data": "{}"}, Why.SESSION_DATA),
        ({"metadata": 5}, Why.METADATA),
        ({"metadata": [1]}, Why.METADATA),
        ({"summary": "a text"}, Why.SUMMARY),
        ({"summary": {"summary": None}}, Why.SUMMARY),
    ],
)
@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_run_fails_before_the_model_is_called(more: dict[str, Any], why: Why, version: Generation) -> None:
    answer = ask(thread(run("1"), version=version, **more), session_summaries=True)
    assert (answer.outcome, answer.why, answer.messages) == (Outcome.FAILED, why, [])


def test_some_lists_pass_for_metadata() -> None:
    values: list[Any] = [[], "", ["a"], [0], {"a": 1}]
    passed = {
        version: [value for value in values if not ask(thread(version=version, metadata=value)).why]
        for version in (OLD, NEW)
    }
    assert passed == {OLD: [[], ["a"], {"a": 1}], NEW: [[], "", [0], {"a": 1}]}
    assert not thread(metadata=5).answer(Settings(), handle=Handle.ASYNC).why


def test_an_id_of_a_call_that_cannot_be_compared_fails_a_capped_run() -> None:
    odd = run("1", {"role": "assistant", "tool_calls": [{"id": ["x"]}]}, {"role": "tool"}, {"role": "tool"})
    assert ask(thread(odd), cap=2).outcome is Outcome.SENT
    assert (ask(thread(odd), cap=1).outcome, ask(thread(odd), cap=1).why) == (Outcome.FAILED, Why.TOOL_CALL_ID)


def test_the_summary_is_sent_if_it_is_on() -> None:
    one = thread(run("1"), summary={"summary": "They met.", "topics": 5, "updated_at": "2026-11-22T10:00:00"})
    assert (ask(one, session_summaries=True).summary, ask(one).summary) == ("They met.", None)
    assert ask(thread(run("1")), session_summaries=True).summary is None
    assert ask(thread(run("1"), summary={"summary": ""}), session_summaries=True).summary == ""


@pytest.mark.parametrize("summary", [{}, {"summary": "s", "more": 1}, {"summary": "s", "updated_at": "soon"}])
def test_a_summary_makes_a_thread_unreadable(summary: Any) -> None:
    answer = ask(thread(run("1"), summary=summary))
    assert (answer.outcome, answer.unreadable) == (Outcome.BEGUN_ANEW, "summary")


def test_where_the_runs_are() -> None:
    column, beside = [run("1", said("old")), run(None, said("no id"))], [row(run("1", said("new")), 0)]
    beside += [row(run("2", said("none")), None), row(run("3", said("first")), 0), row(run("4", said("later")), 0, 5)]
    every = {
        OLD: "old no id",
        NEW: "new first later none",
    }
    assert {version: ids(ask(thread(*column, table=beside, version=version))) for version in every} == every
    answer = ask(thread(*column, table=beside, version=NEW))
    assert (fates(answer, "c0"), fates(answer, "c1"), fates(answer, "t0")) == (["copy"], ["not Agno's"], ["sent"])
    assert fates(ask(thread(*column, table=beside)), "t0") == ["not Agno's"]
    # without a table Agno 3 reads the column as 2.5 does
    assert ids(ask(thread(*column, version=NEW))) == "old no id"


def test_an_element_that_comes_twice_has_no_messages_the_second_time() -> None:
    column = [run("1"), run("1"), run("2", said("two"))]
    one = thread(*column, table=[row(run("1", said("one")), 0)], version=NEW)
    assert [ids(ask(one, depth)) for depth in (1, 2, 3)] == ["two", "two", "one two"]


@pytest.mark.parametrize(
    ("column", "old", "new"),
    [
        ([], "unreadable", ""),
        ("", "unreadable", ""),
        ({}, "unreadable", ""),
        (5, "unreadable", "unreadable"),
        ({"a": 1}, "unreadable", "unreadable"),
        ("text", "", ""),
        ([5, run("1")], "", ""),
        ([run("1"), 5], "unreadable", "unreadable"),
        ([run("1"), "text", []], "", ""),
        ([run("1"), "my agent_id"], "unreadable", "unreadable"),
    ],
)
def test_the_column_itself_may_be_odd(column: Any, old: str, new: str) -> None:
    assert Thread.read(Stored(column=column), OLD).answer(Settings()).why == old
    assert Thread.read(Stored(column=column), MIDDLE).answer(Settings()).why == new
    assert Thread.read(Stored(column=column), NEW).answer(Settings()).why == new


@pytest.mark.parametrize(("version", "found"), [("2.5.14", OLD), ("2.9.0", MIDDLE), ("2.10", MIDDLE), ("3.1", NEW)])
def test_a_version_has_its_generation(version: str, found: Generation) -> None:
    assert Generation.of(version) is found
    assert Generation.of(found) is found


def test_the_tabs_cap_of_0_is_none() -> None:
    class Saved:
        session_storage, session_summaries, num_history_runs, max_tool_calls_from_history = True, False, 7, 0

    assert Settings.of_tab(Saved()) == Settings(num_history_runs=7)
