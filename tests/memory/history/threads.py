"""Small threads to ask of, and words for what the answer says."""

from typing import Any

from memory.history.agno_order import Stored, TableRow
from memory.history.answer import Answer
from memory.history.question import Generation, Handle, Settings
from memory.history.thread import Thread

Json = dict[str, Any]
OLD, MIDDLE, NEW = Generation.V2_5, Generation.V2_9, Generation.V3


def said(message_id: str, role: str = "user", **more: Any) -> Json:
    return {"id": message_id, "role": role, "content": f"text of {message_id}", **more}


def calls(message_id: str, *call_ids: Any, content: str | None = None) -> Json:
    tool_calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in call_ids]
    return {"id": message_id, "role": "assistant", "content": content, "tool_calls": tool_calls}


def result(message_id: str, call_id: str | None) -> Json:
    return {"id": message_id, "role": "tool", "content": "42", "tool_call_id": call_id}


def run(run_id: str | None, *messages: Any, **more: Any) -> Json:
    messages = messages or (said(f"{run_id}.u"), said(f"{run_id}.a", "assistant"))
    return {"run_id": run_id, "agent_id": "a", "status": "COMPLETED", "messages": list(messages), **more}


def row(item: Json, index: int | None, at: int = 0) -> TableRow:
    return TableRow(item.get("run_id") or "", index, at, item)


def thread(*column: Any, table: Any = None, version: Generation = OLD, is_team: bool = False, **more: Any) -> Thread:
    return Thread.read(Stored(column=list(column) or None, table=table, **more), version, is_team=is_team)


def ask(thread: Thread, depth: int | None = 5, cap: int | None = None, **more: Any) -> Answer:
    """Ask for a turn of nobody with a sync handle."""
    return thread.answer(Settings(num_history_runs=depth, max_tool_calls_from_history=cap, **more), handle=Handle.SYNC)


def ids(answer: Answer) -> str:
    """Ids of what is sent, with those of the calls that are left."""
    words = []
    for message in answer.messages:
        called = ",".join(str(call["id"]) for call in message.value.get("tool_calls") or [])
        words.append(message.value["id"] + (f":{called}" if called else ""))
    return " ".join(words)


def fates(answer: Answer, key: str) -> list[str]:
    return [str(one) for one in answer.fates[key]]
