"""Messages as they are stored, and what is read of a run."""

import json
from typing import Any

from memory.transcript.model import Run, ToolCall
from memory.transcript.parse import parse_run


def read(value: Any) -> Run:
    return parse_run(json.dumps(value))


def calls_of(run: Run) -> list[ToolCall]:
    return [call for message in run.messages for call in message.calls]


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"m-{role}", "role": role, "content": content, **more}


def called(*call_ids: str, **more: Any) -> dict[str, Any]:
    tool_calls = [{"id": one, "function": {"name": f"tool {one}", "arguments": '{"n": 1}'}} for one in call_ids]
    return said("assistant", None, tool_calls=tool_calls, **more)


def result(call_id: str | None, content: Any = "42", **more: Any) -> dict[str, Any]:
    return said("tool", content, tool_call_id=call_id, **more)
