"""Threads over the API."""

from typing import Any

from studio import ids
from tests.calls import Api
from tests.world import message, run

THREADS = "agents/agt-ada/threads"
TOOL_RUN = run(
    "r-tool",
    messages=[
        message("system", "be nice"),
        message("user", "earlier", from_history=True),
        message("user", "What is it?"),
        message("assistant", None, tool_calls=[{"id": "c1", "function": {"name": "look", "arguments": '{"at": 1}'}}]),
        message("tool", "42", tool_call_id="c1", tool_name="look"),
        message("assistant", "It is **42**."),
    ],
)


def path(session_id: str) -> str:
    return f"{THREADS}/{ids.encode(session_id)}"


def every(api: Api, address: str) -> list[Any]:
    """Follow `next` to the end."""
    found, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{address}{'&' if '?' in address else '?'}cursor={cursor}")
        found += page["items"]
        cursor = page["next"]
    return found
