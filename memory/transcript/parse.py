"""Parsing a run's JSON text into the values of `model`. Any field may be missing or of another type.

Pure, and never raises: a run that cannot be read becomes a Run with a `problem`.
"""

import json
from collections import defaultdict, deque
from contextlib import suppress
from typing import Any, Final

from memory.history.counted import counts_in_column
from memory.transcript.beside import add_beside, shape, stated_reasoning, words
from memory.transcript.calls import pair, read_calls
from memory.transcript.media import field_media, label, sealed_size
from memory.transcript.model import Message, Run, Step
from memory.transcript.parts import read_content
from memory.transcript.sources import read_sources
from memory.transcript.text_ids import TextIds
from memory.transcript.values import amount, as_dict, as_json, as_list, as_time, count, first, identifier, string
from studio import ids

_LONGEST_INTEGER: Final = 4_000  # digits; Python itself refuses to write more than 4,300
_DEEPEST_MEMBER: Final = 6
# roles as some models and libraries name them
_ROLES: Final = {"model": "assistant", "ai": "assistant", "human": "user", "developer": "system", "function": "tool"}


def parse_run(text: str | None, size: int | None = None) -> Run:
    """Read a run from JSON text; `size` is the size of that text in bytes, counted here if not given."""
    size = len((text or "").encode("utf-8", "replace")) if size is None else size
    try:
        value = _loads(text or "")
    except RecursionError:
        return Run(problem="It is nested too deeply to be read.", size=size)
    except ValueError:
        return Run(problem="It is not JSON.", size=size)
    if not isinstance(value, dict):
        return Run(problem=f"It is {_TYPES[type(value)]}, not an object.", size=size)
    try:
        return _run(value, size)
    except (RecursionError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        return Run(
            run_id=identifier(value.get("run_id")),
            problem=f"It has a shape that the studio cannot read ({type(error).__name__}).",
            size=size,
        )


_TYPES: Final = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def _loads(text: str) -> Any:
    value = json.loads(text, parse_int=_integer)
    # some writers have encoded it twice
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value, parse_int=_integer)
    return value


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else digits


def _run(value: dict[str, Any], size: int, text_ids: TextIds | None = None, depth: int = 0) -> Run:
    text_ids = text_ids or TextIds()
    metrics = as_dict(value.get("metrics"))
    run = Run(
        run_id=identifier(value.get("run_id")),
        parent_run_id=identifier(value.get("parent_run_id")),
        kind="team" if value.get("team_id") else "workflow" if _is_workflow(value) else "agent",
        name=label(first(value, "agent_name", "team_name", "workflow_name", "agent_id", "team_id", "workflow_id")),
        counts=counts_in_column(value),
        user_id=identifier(value["user_id"], ids.LONGEST) if isinstance(value.get("user_id"), str) else None,
        status=string(value.get("status")).upper()[:40],
        created_at=as_time(value.get("created_at")),
        model=label(value.get("model")) or label(first(as_dict(value.get("model")), "id", "name")),
        provider=label(value.get("model_provider")),
        input_tokens=count(metrics, "input_tokens", "prompt_tokens"),
        output_tokens=count(metrics, "output_tokens", "completion_tokens"),
        cached_tokens=count(metrics, "cache_read_tokens", "cached_tokens"),
        reasoning_tokens=count(metrics, "reasoning_tokens"),
        seconds=amount(metrics, "duration", "time"),
        first_token_seconds=amount(metrics, "time_to_first_token"),
        size=size,
    )
    run.messages, run.hidden = _messages(value, text_ids)
    calls = [call for message in run.messages for call in message.calls]
    extra = text_ids.take(pair(calls, as_list(value.get("tools")), run.status, text_ids.text))
    if extra:
        # before the final answer, for which they were made
        last = run.messages[-1] if run.messages else None
        place = len(run.messages) - bool(last and last.role == "assistant" and last.text and not last.calls)
        run.messages.insert(place, Message("", "assistant", text_ids.text(""), calls=extra))
    run.steps = _steps(value.get("step_results"), text_ids)
    add_beside(run, value, text_ids)
    for member in text_ids.take(_inside(value)):
        if isinstance(member, dict) and depth < _DEEPEST_MEMBER:
            run.members.append(_run(member, 0, text_ids, depth + 1))
        elif member:
            run.members.append(Run(problem="A run inside this one cannot be shown here."))
    run.unread = 0 if depth else text_ids.unread
    return run


def _inside(value: dict[str, Any]) -> list[Any]:
    """Return the runs inside a run. The members of a team, which a workflow holds twice, are left to the team."""
    inside = [*as_list(value.get("member_responses")), *as_list(value.get("step_executor_runs"))]
    inside += [value["workflow_agent_run"]] if value.get("workflow_agent_run") else []
    members = [member for one in inside for member in as_list(as_dict(one).get("member_responses"))]
    in_teams = {run_id: member for member in members if (run_id := string(as_dict(member).get("run_id")))}
    return [one for one in inside if in_teams.get(string(as_dict(one).get("run_id"))) != one]


def _is_workflow(value: dict[str, Any]) -> bool:
    return bool(value.get("workflow_id")) and not value.get("agent_id") and not value.get("agent_name")


def _messages(value: dict[str, Any], text_ids: TextIds) -> tuple[list[Message], int]:
    """Return messages in stored order, with results beside their calls, and the number of copies left out."""
    # old rows repeat the messages of earlier turns in each run, marked with from_history
    stored = as_list(value.get("messages"))
    copies = [one for one in stored if isinstance(one, dict) and one.get("from_history") is True]
    own = text_ids.take([one for one in stored if not (isinstance(one, dict) and one.get("from_history") is True)])
    results: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
    for one in own:
        for result in _results(one):
            results[string(result.get("tool_call_id"))].append(result)
    used: set[int] = set()
    messages: list[Message] = []
    for one in own:
        if _role(one) == "tool":
            left = text_ids.take([result for result in _results(one) if id(result) not in used])
            calls = [call for result in left for call in read_calls([result], {}, used, text_ids.text)]
            if calls:
                messages.append(Message(identifier(one.get("id")), "tool", text_ids.text(""), calls=calls))
        elif isinstance(one, dict):
            messages.append(_message(one, results, used, text_ids))
        elif one is not None:
            messages.append(Message("", "unknown", text_ids.text(as_json(one), "json")))
    return messages, len(copies)


def _results(message: Any) -> list[dict[str, Any]]:
    """Return the tool results in a message; some providers put several into one."""
    if _role(message) != "tool":
        return []
    several = [one for one in as_list(message.get("tool_calls")) if isinstance(one, dict) and "content" in one]
    return several or [message]


def _role(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    role = string(message.get("role")).lower()[:40]
    return _ROLES.get(role, role or "unknown")


def _message(
    one: dict[str, Any], results: dict[str, deque[dict[str, Any]]], used: set[int], text_ids: TextIds
) -> Message:
    role = _role(one)
    found = read_content(one.get("content"))
    reasoning = "\n\n".join(dict.fromkeys(filter(None, [*found.thinking, stated_reasoning(one)])))
    return Message(
        identifier(one.get("id")),
        role,
        text_ids.text(words(found, one), shape(found, role)),
        as_time(one.get("created_at")),
        label(one.get("name")),
        text_ids.text(reasoning) if reasoning else None,
        found.redacted + sealed_size(one.get("redacted_reasoning_content")),
        [*found.media, *field_media(one)],
        found.parts(text_ids.text),
        [*found.sources, *read_sources(one.get("citations")), *read_sources(one.get("annotations"))],
        read_calls(text_ids.take(as_list(one.get("tool_calls")) or found.calls), results, used, text_ids.text),
    )


def _steps(value: Any, text_ids: TextIds, depth: int = 0) -> list[Step]:
    """Return the steps of a workflow in order; steps inside another follow it."""
    steps: list[Step] = []
    for one in text_ids.take(as_list(value)):
        if isinstance(one, list):
            steps += _steps(one, text_ids, depth + 1) if depth < _DEEPEST_MEMBER else []
        elif isinstance(one, dict):
            steps.append(_step(one, text_ids))
            steps += _steps(one.get("steps"), text_ids, depth + 1) if depth < _DEEPEST_MEMBER else []
    return steps


def _step(one: dict[str, Any], text_ids: TextIds) -> Step:
    found = read_content(one.get("content"))
    error = string(one.get("error"))
    failed = one.get("success") is False or bool(error)
    text = text_ids.text(error) if failed and error else text_ids.text(words(found, one), found.kind)
    name, executor = first(one, "step_name", "step_id"), first(one, "executor_name", "executor_type")
    media = [*found.media, *field_media(one)]
    return Step(label(name), label(executor), text, failed, media, found.parts(text_ids.text))
