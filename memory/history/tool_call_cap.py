"""Which messages a cap of tool calls leaves, as Agno cuts them. Pure."""

from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]


def cut(messages: Sequence[Message], cap: int) -> list[tuple[int, ...] | None]:
    """Return for each message the places of the calls that stay: None if it stays as it is, -1 if it goes.

    Raises TypeError for an id of a call that Agno cannot compare.
    """
    results = [one for one in messages if one["role"] == "tool"]
    if len(results) <= cap:
        return [None] * len(messages)
    noted: list[str] = []
    for result in reversed(results):
        if result.get("tool_call_id") and len(noted) < cap:
            # an id that comes twice is noted twice, so that fewer others stay
            noted.append(result["tool_call_id"])
    kept = set(noted)
    return [_cut(one, kept) for one in messages]


GONE = (-1,)


def _cut(message: Message, kept: set[str]) -> tuple[int, ...] | None:
    if message["role"] == "tool":
        return None if message.get("tool_call_id") in kept else GONE
    calls = message.get("tool_calls")
    if message["role"] != "assistant" or not calls:
        return None
    left = tuple(n for n, call in enumerate(calls) if call.get("id") in kept)
    if len(left) == len(calls):
        return None
    return left if left or message.get("content") else GONE
