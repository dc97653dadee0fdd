"""Tool calls of a run, each with its result and with what the run's `tools[]` holds about it."""

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Final

from memory.transcript.media import field_media, label, spoken
from memory.transcript.model import Text, ToolCall
from memory.transcript.parts import read_content
from memory.transcript.values import amount, as_dict, as_json, string

MakeText = Callable[[str, str], Text]
# what a paused run waits for: the field that asks, the field that answers, and words for it
_WAITS: Final = (
    ("requires_confirmation", "confirmed", "a confirmation"),
    ("requires_user_input", "answered", "an answer from the user"),
    ("external_execution_required", "result", "a result from outside"),
)


def read_calls(
    stored: list[Any], results: dict[str, deque[dict[str, Any]]], used: set[int], text: MakeText
) -> list[ToolCall]:
    """Read the calls of one message with their results.

    `results` are the run's results by call id, from which one is taken for each call. `used` receives the
    id() of each result, because two results may be equal.
    """
    calls = []
    for one in stored:
        if not isinstance(one, dict):
            continue
        function = as_dict(one.get("function"))
        # providers name the id differently: the name with a result is the right one
        ids = [string(one.get(name)) for name in ("tool_call_id", "id", "call_id")]
        call_id = next((i for i in ids if results.get(i)), ids[0] or ids[1])
        result = results[call_id].popleft() if results.get(call_id) else None
        if result is None and (one.get("role") == "tool" or ("content" in one and "function" not in one)):
            result = one  # a result without its call
        name = function.get("name") or one.get("name") or one.get("tool_name") or as_dict(result).get("tool_name")
        call = ToolCall(call_id, label(name), _json_text(_args(one, result), text))
        if result is not None:
            used.add(id(result))
            _take_result(call, result.get("content"), text, spoken(result))
            call.media += field_media(result)
            call.status = "error" if result.get("tool_call_error") is True else "ok"
            call.seconds = _seconds(result)
        calls.append(call)
    return calls


def pair(calls: list[ToolCall], tools: list[Any], status: str, text: MakeText) -> list[ToolCall]:
    """Add to each call what the run's `tools[]` says about it; return the calls that are in no message."""
    by_id: dict[str, deque[ToolCall]] = defaultdict(deque)
    for call in calls:
        by_id[call.call_id].append(call)
    extra = []
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        call_id = string(tool.get("tool_call_id"))
        if by_id[call_id]:
            call = by_id[call_id].popleft()
        else:
            call = ToolCall(call_id, label(tool.get("tool_name")), _json_text(tool.get("tool_args"), text))
            extra.append(call)
        _merge(call, tool, status, text)
    return extra


def _merge(call: ToolCall, tool: dict[str, Any], status: str, text: MakeText) -> None:
    seconds = _seconds(tool)
    call.seconds = call.seconds if seconds is None else seconds
    call.name = call.name or label(tool.get("tool_name"))
    if not call.args and tool.get("tool_args"):
        call.args = _json_text(tool["tool_args"], text)
    if call.result is None and tool.get("result") is not None:
        _take_result(call, tool["result"], text)
        call.status = "ok"
    if tool.get("tool_call_error") is True:
        call.status = "error"
    for asks, answers, words in _WAITS:
        if tool.get(asks) is True and tool.get(answers) in (None, False) and call.result is None:
            refused = tool.get(answers) is False or status != "PAUSED"
            call.status = ("refused" if tool.get(answers) is False else "none") if refused else "waiting"
            call.wants = "" if refused else words


def _take_result(call: ToolCall, content: Any, text: MakeText, said: list[str] | None = None) -> None:
    found = read_content(content)
    value = found.text or "\n".join(said or []) or ("" if found or not content else as_json(content))
    call.result = text(value, "json" if found.kind == "json" or value.lstrip()[:1] in ("{", "[") else "text")
    call.media += found.media
    call.parts = found.parts(text)


def _args(call: dict[str, Any], result: dict[str, Any] | None) -> Any:
    """Return the arguments of a call, which providers store in different places."""
    places = ((call.get("function"), "arguments"), (call, "arguments"), (call, "input"), (call, "tool_args"))
    for holder, name in (*places, (result, "tool_args")):
        value = as_dict(holder).get(name)
        if value is not None:
            return value
    return None


def _json_text(value: Any, text: MakeText) -> Text:
    if value is None or value == "":
        return text("", "json")
    return text(string(value) if isinstance(value, str) else as_json(value), "json")


def _seconds(holder: dict[str, Any]) -> float | None:
    return amount(as_dict(holder.get("metrics")), "duration", "time")
