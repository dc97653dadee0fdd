"""The messages of a thread that Agno sends to the model: a second implementation, for the tests, on stored messages.

The same in agno 2.5.14 and 3.1.10 but for two things: the order of runs (the array's; run_index)
and the status REGENERATED, which 2.5 does not know. Settings are those of the Memory tab, as the
SDK hands them on: at least one run, and a cap of 0 tool calls is no cap.
"""

from collections.abc import Iterable
from typing import Any

from memory.transcript.model import SKIPPED
from memory.transcript.values import as_dict, as_list, string

Json = dict[str, Any]


def runs_sent(runs: Iterable[Json], num_history_runs: int) -> list[Json]:
    """Pick the runs that are sent at the next turn, from a thread's runs as stored and in stored order."""
    able = [
        run
        for run in runs
        if ("agent_id" in run or "team_id" in run)
        and run.get("parent_run_id") is None
        and run.get("status") not in SKIPPED
    ]
    return able[-num_history_runs:] if num_history_runs > 0 else []


def messages_sent(runs: Iterable[Json], num_history_runs: int, max_tool_calls: int = 0) -> list[Json]:
    """List the messages that are sent at the next turn, as stored but for tool calls that a cap takes out.

    Copies of earlier turns and system messages are never sent. With a cap, only the newest
    `max_tool_calls` results of the whole window stay, and calls only with their result; a message
    left with neither calls nor content goes.
    """
    messages = [
        message
        for run in runs_sent(runs, num_history_runs)
        for message in as_list(run.get("messages"))
        if isinstance(message, dict) and not message.get("from_history") and message.get("role") != "system"
    ]
    results = [message for message in messages if message.get("role") == "tool"]
    if max_tool_calls <= 0 or len(results) <= max_tool_calls:
        return messages
    ids = [string(result.get("tool_call_id")) for result in reversed(results)]
    return list(_capped(messages, set([one for one in ids if one][:max_tool_calls])))


def _capped(messages: list[Json], kept: set[str]) -> Iterable[Json]:
    for message in messages:
        if message.get("role") == "tool":
            if string(message.get("tool_call_id")) in kept:
                yield message
        elif message.get("role") == "assistant" and message.get("tool_calls"):
            calls = [call for call in as_list(message["tool_calls"]) if string(as_dict(call).get("id")) in kept]
            if calls:
                yield {**message, "tool_calls": calls}
            elif message.get("content"):
                yield {name: value for name, value in message.items() if name != "tool_calls"}
        else:
            yield message
