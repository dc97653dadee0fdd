"""A run's JSON as values: real runs read whole, and their messages."""

import json
from pathlib import Path
from typing import Any

import pytest

from memory.transcript.model import Run
from memory.transcript.text_ids import MOST_ITEMS
from tests.memory.transcript.parsed import called, calls_of, read, result, said

DATA = Path(__file__).parents[1] / "data"


def texts(run: Run, role: str) -> list[str]:
    return [message.text.value for message in run.messages if message.role == role]


@pytest.fixture(params=["agno_2_5_thread.json", "agno_3_1_thread.json"])
def real(request: pytest.FixtureRequest) -> list[Run]:
    """The runs of one shared thread, as that version of agno stored it."""
    thread = json.loads((DATA / request.param).read_text())
    rows = thread.get("runs_column") or [row["run_data"] for row in thread["agno_runs_rows"]]
    return [read(row) for row in rows]


def test_it_reads_real_runs(real: list[Run]) -> None:
    first = real[0]
    assert [message.role for message in first.messages] == ["system", "user", "assistant", "assistant"]
    assert texts(first, "user") == ["Where is my order A-17?"]
    assert first.messages[-1].text.kind == "markdown"
    assert (first.user_id, first.name, first.status, first.model) == (
        "alice@example.com",
        "Support Agent",
        "COMPLETED",
        "gpt-4o-mini",
    )
    numbers = (first.input_tokens, first.output_tokens, first.cached_tokens, first.reasoning_tokens)
    assert numbers == (243, 60, 128, 16)
    assert first.seconds
    assert first.first_token_seconds
    assert [run.user_id for run in real] == ["alice@example.com", "bob@example.com", "carol@example.com"]


def test_it_puts_real_results_beside_their_calls(real: list[Run]) -> None:
    order, customer = calls_of(real[0])
    assert (order.name, order.status, order.args.value) == ("lookup_order", "ok", '{"order_id": "A-17"}')
    assert order.result
    assert order.result.value.startswith('{"order_id": "A-17"')
    assert order.size == len(order.result.value)
    assert order.seconds
    assert "Müller & Söhne" in customer.args.shown


# Messages


def test_copies_of_earlier_turns_are_hidden_and_counted() -> None:
    run = read(
        {"messages": [said("user", "old", from_history=True), result("x", from_history=True), said("user", "new")]}
    )
    assert texts(run, "user") == ["new"]
    assert run.hidden == 2
    assert not calls_of(run)


def test_a_run_without_messages_shows_its_input_and_its_answer() -> None:
    run = read({"input": {"input_content": "question"}, "content": "**answer**"})
    assert [(m.role, m.text.value, m.text.kind) for m in run.messages] == [
        ("user", "question", "text"),
        ("assistant", "**answer**", "markdown"),
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ({"input_content": ["a", "b"]}, "a\nb"),
        ({"input_content": [{"role": "user", "content": "hello"}]}, "hello"),
        ({"input_content": {"topic": "x"}}, '{"topic": "x"}'),
        ({"topic": "x"}, '{"topic": "x"}'),
        ([1, 2], "[1, 2]"),
    ],
)
def test_an_input_may_have_any_shape(given: Any, shown: str) -> None:
    assert texts(read({"input": given}), "user") == [shown]


def test_an_input_is_not_repeated() -> None:
    run = read(
        {"input": {"input_content": "q"}, "content": "a", "messages": [said("user", "q"), said("assistant", "a")]}
    )
    assert len(run.messages) == 2


def test_an_answer_that_is_no_text_is_json() -> None:
    (message,) = read({"content": {"total": 3}}).messages
    assert (message.text.value, message.text.kind) == ('{"total": 3}', "json")


def test_a_failed_run_says_why() -> None:
    run = read({"status": "ERROR", "content": "Rate limit", "messages": [said("user", "q")]})
    assert run.note
    assert run.note.value == "Rate limit"
    assert texts(run, "assistant") == []
    late = read({"status": "ERROR", "events": [{"event": "RunError", "content": "Timeout"}, {"event": "RunEnd"}]})
    assert late.note
    assert late.note.value == "Timeout"
    stopped = read({"status": "CANCELLED", "events": [{"event": "RunCancelled", "reason": "user left"}]})
    assert stopped.note
    assert stopped.note.value == "user left"


def test_what_a_cancelled_run_had_answered_is_not_its_reason() -> None:
    run = read({"status": "CANCELLED", "content": "half", "messages": [said("assistant", "half")]})
    assert run.note is None


def test_reasoning_is_kept_with_its_message() -> None:
    (message,) = read({"messages": [said("assistant", "a", reasoning_content="because")]}).messages
    assert message.reasoning
    assert message.reasoning.value == "because"
    (message,) = read({"content": "a", "reasoning_content": "so"}).messages
    assert message.reasoning
    assert message.reasoning.value == "so"


def test_steps_of_a_workflow_come_in_order() -> None:
    step = {
        "step_name": "a",
        "executor_name": "A",
        "content": "out",
        "steps": [{"step_name": "b", "content": {"n": 1}}],
    }
    run = read(
        {
            "workflow_id": "w",
            "workflow_name": "Nightly",
            "input": "go",
            "content": "done",
            "step_results": [step, [{"step_name": "c", "success": False, "error": "disk full"}]],
        }
    )
    assert (run.kind, run.name) == ("workflow", "Nightly")
    assert [(s.name, s.text.value, s.failed) for s in run.steps] == [
        ("a", "out", False),
        ("b", '{"n": 1}', False),
        ("c", "disk full", True),
    ]


def test_runs_inside_a_run_are_read_to_a_depth() -> None:
    inner: dict[str, Any] = {"run_id": "last"}
    for number in range(20):
        inner = {"run_id": str(number), "team_id": "t", "member_responses": [inner]}
    run, depth = read(inner), 0
    while run.members:
        run, depth = run.members[0], depth + 1
    assert 1 < depth < 10
    assert run.problem


def test_a_run_of_too_many_messages_is_read_in_part() -> None:
    run = read({"messages": [said("user", str(n)) for n in range(MOST_ITEMS + 500)]})
    assert (len(run.messages), run.unread) == (MOST_ITEMS, 500)
    run = read({"messages": [called(*(str(n) for n in range(MOST_ITEMS + 500)))], "step_results": [{}] * 7})
    assert len(calls_of(run)) + len(run.messages) == MOST_ITEMS
    assert (run.unread, run.steps) == (501 + 7, [])
    run = read({"member_responses": [{"messages": [said("user", "x")] * 600}] * 3})
    assert sum(len(member.messages) for member in run.members) == MOST_ITEMS - 3
    run = read({"messages": [said("user", "q", images=[{"url": "a"}] * 500)]})
    assert len(run.messages[0].media) == 100


def test_every_text_has_its_own_path() -> None:
    run = read(
        {
            "messages": [
                said("user", "q"),
                called("x"),
                result("x", "r"),
                said("assistant", "a", reasoning_content="z"),
            ],
            "step_results": [{"content": "s"}],
            "member_responses": [{"content": "m", "input": "i"}],
            "status": "ERROR",
            "content": "e",
        }
    )
    found = list(run.texts())
    assert len({text.path for text in found}) == len(found)
    for text in found:
        assert run.find(text.path) is text
    assert {"q", '{"n": 1}', "r", "a", "z", "s", "m", "i", "e"} <= {text.value for text in found}
    assert run.find("t999") is None
