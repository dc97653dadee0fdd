"""A run's JSON as values: real runs read whole, and nothing stored can make it raise."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.transcript.content import text_and_media
from memory.transcript.json_text import reindent, resolved
from memory.transcript.model import Media, Message, Run, ToolCall
from memory.transcript.parse import parse_run
from memory.transcript.text_ids import MOST_ITEMS
from tests.rounds import rounds

DATA = Path(__file__).parents[1] / "data"


def read(value: Any) -> Run:
    return parse_run(json.dumps(value))


def calls_of(run: Run) -> list[ToolCall]:
    return [call for message in run.messages for call in message.calls]


def texts(run: Run, role: str) -> list[str]:
    return [message.text.value for message in run.messages if message.role == role]


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"m-{role}", "role": role, "content": content, **more}


def called(*call_ids: str, **more: Any) -> dict[str, Any]:
    tool_calls = [{"id": one, "function": {"name": f"tool {one}", "arguments": '{"n": 1}'}} for one in call_ids]
    return said("assistant", None, tool_calls=tool_calls, **more)


def result(call_id: str | None, content: Any = "42", **more: Any) -> dict[str, Any]:
    return said("tool", content, tool_call_id=call_id, **more)


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


# Tool calls


def test_a_call_without_a_result_says_so() -> None:
    (call,) = calls_of(read({"messages": [called("x")]}))
    assert (call.status, call.result) == ("none", None)


def test_a_failed_call_is_an_error() -> None:
    first, second = calls_of(
        read(
            {
                "messages": [called("x", "y"), result("x", tool_call_error=True), result("y")],
                "tools": [{"tool_call_id": "y", "tool_call_error": True}],
            }
        )
    )
    assert (first.status, second.status) == ("error", "error")


def test_a_result_without_its_call_is_shown_as_a_call() -> None:
    (call,) = calls_of(read({"messages": [result("gone", tool_name="lost", tool_args={"a": 1})]}))
    assert (call.name, call.args.value, call.status) == ("lost", '{"a": 1}', "ok")


def test_a_call_that_only_tools_knows_stands_before_the_answer() -> None:
    run = read(
        {
            "messages": [said("user", "q"), said("assistant", "answer")],
            "tools": [{"tool_call_id": "x", "tool_name": "late", "tool_args": {}, "result": "r"}],
        }
    )
    assert [bool(message.calls) for message in run.messages] == [False, True, False]
    assert calls_of(run)[0].name == "late"


def test_tools_adds_the_duration_and_the_result() -> None:
    (call,) = calls_of(
        read({"messages": [called("x")], "tools": [{"tool_call_id": "x", "result": "r", "metrics": {"duration": 2.5}}]})
    )
    assert call.result
    assert (call.seconds, call.result.value, call.status) == (2.5, "r", "ok")


def test_calls_with_the_same_id_get_their_results_in_order() -> None:
    first, second = calls_of(read({"messages": [called("x"), result("x", "one"), called("x"), result("x", "two")]}))
    assert first.result
    assert second.result
    assert (first.result.value, second.result.value) == ("one", "two")


def test_calls_without_ids_get_their_results_in_order() -> None:
    nameless = {"function": {"name": "f", "arguments": "{}"}}
    first, second = calls_of(
        read(
            {"messages": [said("assistant", None, tool_calls=[nameless, nameless]), result(None, "1"), result("", "2")]}
        )
    )
    assert first.result
    assert second.result
    assert (first.result.value, second.result.value) == ("1", "2")


def test_a_message_with_several_results_gives_each_call_its_own() -> None:
    several = said(
        "tool", "all", tool_calls=[{"tool_call_id": "x", "content": "1"}, {"tool_call_id": "y", "content": "2"}]
    )
    first, second = calls_of(read({"messages": [called("x", "y"), several]}))
    assert first.result
    assert second.result
    assert (first.result.value, second.result.value) == ("1", "2")


def test_calls_of_other_providers_are_read() -> None:
    stored = [{"id": "x", "name": "search", "input": {"q": 1}}, {"call_id": "y", "name": "f", "arguments": "{}"}]
    first, second = calls_of(read({"messages": [said("assistant", None, tool_calls=stored), result("y"), result("x")]}))
    assert (first.name, first.args.value, first.status) == ("search", '{"q": 1}', "ok")
    assert (second.name, second.status) == ("f", "ok")


def test_a_paused_call_says_what_it_waits_for() -> None:
    tool = {"tool_call_id": "x", "tool_name": "delete", "requires_confirmation": True}
    (call,) = calls_of(read({"status": "PAUSED", "messages": [called("x")], "tools": [tool]}))
    assert (call.status, call.wants) == ("waiting", "a confirmation")
    (call,) = calls_of(read({"status": "PAUSED", "messages": [called("x")], "tools": [{**tool, "confirmed": False}]}))
    assert call.status == "refused"
    (call,) = calls_of(read({"messages": [called("x"), result("x")], "tools": [{**tool, "confirmed": True}]}))
    assert call.status == "ok"


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


# Media


PICTURE = base64.b64encode(b"x" * 3000).decode()


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
            Media("image", "image/png", "", 3000),
        ),
        ({"type": "input_image", "image_url": "https://x.y/a.png"}, Media("image", source="https://x.y/a.png")),
        ({"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}}, Media("audio", "wav", "", 3000)),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PICTURE}},
            Media("image", "image/jpeg", "", 3000),
        ),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": PICTURE}}, Media("file", "", "a.pdf", 3000)),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x.y/d"}},
            Media("file", source="https://x.y/d"),
        ),
    ],
)
def test_media_parts_are_measured_and_left(part: dict[str, Any], media: Media) -> None:
    text, kind, found = text_and_media([{"type": "text", "text": "see"}, part])
    assert (text, kind, found) == ("see", "text", [media])


def test_media_fields_of_messages_and_runs_are_read() -> None:
    picture = {"id": "1", "content": PICTURE, "mime_type": "image/png", "filename": "a.png"}
    run = read(
        {"messages": [said("user", "q", images=[picture], audio_output=picture)], "videos": [{"filepath": "/v.mp4"}]}
    )
    assert run.messages[0].media == [
        Media("image", "image/png", "a.png", 3000),
        Media("audio", "image/png", "a.png", 3000),
    ]
    assert run.media == [Media("video", source="/v.mp4")]


def test_base64_inside_a_text_leaves_its_type() -> None:
    text, _, media = text_and_media(f"look: data:image/png;base64,{PICTURE} done")
    assert text == "look: [image/png] done"
    assert media == [Media("image", "image/png", "", 3000)]


def test_parts_of_no_known_kind_are_shown_as_json() -> None:
    assert text_and_media([{"type": "text", "text": "a"}, {"type": "thinking"}])[1] == "json"


# Whatever is stored


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "not JSON"),
        ("", "not JSON"),
        ('{"a": ', "not JSON"),
        ("null", "null"),
        ("[]", "a list"),
        ("5", "a number"),
        ('"x"', "a text"),
        ("true", "a boolean"),
        ("[" * 5000, "too deeply"),
        ('{"a": ' + "[" * 3000 + "]" * 3000 + "}", "too deeply"),
    ],
)
def test_what_is_no_run_is_a_problem(text: str | None, problem: str) -> None:
    run = parse_run(text)
    assert problem in run.problem
    assert run.size == len(text or "")
    assert run.messages == []


@pytest.mark.parametrize(
    "text",
    [
        '{"metrics": {"input_tokens": %s}, "created_at": %s, "content": [%s]}' % (("9" * 5000,) * 3),
        '{"metrics": {"input_tokens": 1e400, "duration": -1e400, "output_tokens": -5}, "created_at": 1e400}',
        '{"messages": [{"role": "user", "content": ' + "[" * 900 + "]" * 900 + "}]}",
        '{"content": "\\ud800 \\u0000 \\udfff", "run_id": "\\ud800", "user_id": "\\u0000"}',
        '{"run_id": "a", "run_id": "b", "content": 1, "content": "x"}',
        '{"metrics": {"input_tokens": true, "duration": "5"}, "created_at": false}',
        '{"metrics": NaN, "content": Infinity}',
    ],
)
def test_poison_is_shown_or_left_out(text: str) -> None:
    run = parse_run(text)
    assert run.problem == ""
    assert run.input_tokens is None
    assert run.created_at is None
    for one in run.texts():
        one.shown.encode()
        assert "\x00" not in one.shown
    (run.run_id + str(run.user_id)).encode()


def test_metrics_of_agno_1_are_lists() -> None:
    run = read({"metrics": {"input_tokens": [3, 4], "time": [0.5, 0.25]}})
    assert (run.input_tokens, run.seconds) == (7, 0.75)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    """
    run_id parent_run_id status created_at model metrics messages tools content input events images member_responses
    step_results step_executor_runs workflow_agent_run reasoning_content agent_id team_id workflow_id user_id role id
    tool_calls tool_call_id function name arguments input_content tool_args result tool_call_error error steps
    requires_confirmation duration input_tokens type text image_url url source data filename from_history
    """.split()  # noqa: SIM905
)
SHAPED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["user", "assistant", "tool", "system", "ERROR", "PAUSED", "image", "text"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)


@pytest.mark.attack
@given(st.dictionaries(NAMES, SHAPED, max_size=12) | JSON)
@settings(max_examples=rounds(250, 2000), deadline=None)
def test_any_json_becomes_a_run(value: Any) -> None:
    run = parse_run(json.dumps(value))
    found = list(run.texts())
    assert len({text.path for text in found}) == len(found)
    for text in found:
        assert text.size == len(text.value.encode())
        text.shown.encode()
    for message in run.messages:
        assert isinstance(message, Message)
        for name in (message.role, message.message_id, message.name, *(call.name for call in message.calls)):
            name.encode()
    assert "shape" not in run.problem


@pytest.mark.attack
@given(st.text())
@settings(max_examples=rounds(200, 2000), deadline=None)
def test_any_text_becomes_a_run(text: str) -> None:
    assert isinstance(parse_run(text), Run)


# JSON laid out


def test_json_is_laid_out_with_every_number_as_it_was() -> None:
    text = '{"a":[1.50,10000000000000000000001,{}],"b":"x, y: {z}","c":[],"d":"M\\u00fcller \\u5f20\\n"}'
    assert reindent(text) == (
        '{\n  "a": [\n    1.50,\n    10000000000000000000001,\n    {}\n  ],\n'
        '  "b": "x, y: {z}",\n  "c": [],\n  "d": "Müller 张\\n"\n}'
    )


@pytest.mark.parametrize("text", ["", "plain", "{broken", "[1, 2", '"x"', "5", "{'a': 1}"])
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    assert reindent(text) == text


def test_escapes_are_resolved_where_nothing_is_laid_out() -> None:
    assert resolved('{"a": "\\u00fc\\n", "b": "\\u5f20" broken "\\uZZ" "cut \\u00f') == (
        '{"a": "ü\\n", "b": "张" broken "\\uZZ" "cut \\u00f'
    )


def test_it_stops_when_it_has_enough() -> None:
    text = json.dumps([f"item {n}" for n in range(5000)])
    assert 400 < len(reindent(text, 400)) < 1000


def test_what_cannot_be_printed_stays_escaped() -> None:
    assert reindent('["\\u202e\\ud800\\u0007é"]') == '[\n  "\\u202e\\ud800\\u0007é"\n]'


@pytest.mark.attack
@given(JSON.filter(lambda value: isinstance(value, list | dict)))
@settings(max_examples=rounds(200, 2000), deadline=None)
def test_laid_out_json_means_the_same(value: Any) -> None:
    text = json.dumps(value)
    assert repr(json.loads(reindent(text))) == repr(json.loads(text))
