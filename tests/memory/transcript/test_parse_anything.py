"""A run's JSON as values: nothing stored can make it raise; and JSON laid out."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.transcript.json_text import indent, unescape
from memory.transcript.model import Message, Run
from memory.transcript.parse import parse_run
from memory.transcript.parts import _TYPES
from tests.memory.transcript.parsed import read
from tests.rounds import rounds

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
    audio_output transcript citations urls raw annotations references query followups thinking reasoning_content
    reasoning_steps redacted_reasoning_content media_reference storage_key resource uri blob refusal summary inline_data
    """.split()  # noqa: SIM905
)
SHAPED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["user", "assistant", "tool", "system", "ERROR", "PAUSED", *_TYPES, "https://x.org"]),
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
    assert indent(text) == (
        '{\n  "a": [\n    1.50,\n    10000000000000000000001,\n    {}\n  ],\n'
        '  "b": "x, y: {z}",\n  "c": [],\n  "d": "Müller 张\\n"\n}'
    )


@pytest.mark.parametrize("text", ["", "plain", "{broken", "[1, 2", '"x"', "5", "{'a': 1}"])
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    assert indent(text) == text


def test_escapes_are_resolved_where_nothing_is_laid_out() -> None:
    assert unescape('{"a": "\\u00fc\\n", "b": "\\u5f20" broken "\\uZZ" "cut \\u00f') == (
        '{"a": "ü\\n", "b": "张" broken "\\uZZ" "cut \\u00f'
    )


def test_it_stops_when_it_has_enough() -> None:
    text = json.dumps([f"item {n}" for n in range(5000)])
    assert 400 < len(indent(text, 400)) < 1000


def test_what_cannot_be_printed_stays_escaped() -> None:
    assert indent('["\\u202e\\ud800\\u0007é"]') == '[\n  "\\u202e\\ud800\\u0007é"\n]'


@pytest.mark.attack
@given(JSON.filter(lambda value: isinstance(value, list | dict)))
@settings(max_examples=rounds(200, 2000), deadline=None)
def test_laid_out_json_means_the_same(value: Any) -> None:
    text = json.dumps(value)
    assert repr(json.loads(indent(text))) == repr(json.loads(text))
