"""The fates of messages for every depth at once, so that a page can move the depth without asking again. Pure."""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from memory.history.answer import Fate
from memory.history.counted import Run
from memory.history.question import Settings
from memory.history.thread import Thread

# from this depth on the message has this fate; before the first step it is beyond the depth
Step = tuple[int, Fate]
MOST: Final = 50
_NEVER: Final = 10**9


def by_depth(thread: Thread, settings: Settings, most: int = MOST) -> dict[str, list[list[Step]]]:
    """Return the steps of each message of the newest runs that count, by the key of the run and in stored order.

    A message that no depth sends, such as a copy, has none. The number of runs in `settings` is not looked at. An id of
    a call that Agno cannot compare is one that was not noted.
    """
    runs = thread.countable[: -most - 1 : -1]
    cap, hidden = settings.max_tool_calls_from_history, settings.hidden_role
    whole_to, noted = (_NEVER, {}) if cap is None else _noted(runs, cap)
    found: dict[str, list[list[Step]]] = {}
    older_system: list[Step] | None = None
    for lag, run in zip(count(1), runs):
        steps: list[list[Step]] = [[] for _ in run.messages]
        is_first = True
        for n, message in _within(run):
            if message["role"] == hidden:
                continue
            if message["role"] != "system":
                steps[n] = list(_steps(message, lag, whole_to, noted))
            elif is_first:
                # only the first of a window is sent
                if older_system is not None:
                    older_system.append((lag, Fate.INSTRUCTIONS))
                older_system, is_first = steps[n], False
                older_system += [(1, Fate.INSTRUCTIONS)] if lag > 1 else []
                older_system.append((lag, Fate.SENT))
        found.setdefault(run.key, steps)
    return found


def _within(run: Run) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((n, message) for n, message in enumerate(run.messages) if n not in run.copies)


def _noted(runs: list[Run], cap: int) -> tuple[int, dict[str, int]]:
    """Return the greatest depth at which nothing is cut, and from which depth on each id is noted."""
    whole_to, results, left = 0, 0, cap
    noted: dict[str, int] = {}
    for lag, run in zip(count(1), runs):
        for _, message in reversed(list(_within(run))):
            if message["role"] == "tool":
                results += 1
                if message.get("tool_call_id") and left > 0:
                    left -= 1
                    noted.setdefault(message["tool_call_id"], lag)
        if results <= cap:
            whole_to = lag
    # what is older than these runs is not known
    return (_NEVER if results <= cap else whole_to), noted


def _steps(message: dict[str, Any], lag: int, whole_to: int, noted: dict[str, int]) -> Iterator[Step]:
    if lag <= whole_to:
        yield lag, Fate.SENT
    last = Fate.SENT if lag <= whole_to else None
    ids = [message.get("tool_call_id")] if message["role"] == "tool" else _ids(message)
    since = [noted.get(one, _NEVER) if isinstance(one, str) else _NEVER for one in ids]
    first = max(lag, whole_to + 1)
    for depth in sorted({first, *(one for one in since if first < one < _NEVER)}):
        fate = _capped(message, [one <= depth for one in since])
        if fate is not last and depth < _NEVER:
            yield depth, fate
        last = fate


def _ids(message: dict[str, Any]) -> list[Any]:
    return [call.get("id") for call in message.get("tool_calls") or []] if message["role"] == "assistant" else []


def _capped(message: dict[str, Any], kept: list[bool]) -> Fate:
    if all(kept):
        return Fate.SENT
    if message["role"] == "tool":
        return Fate.RESULT_DROPPED
    return Fate.CALLS_CUT if any(kept) or message.get("content") else Fate.RESULT_DROPPED
