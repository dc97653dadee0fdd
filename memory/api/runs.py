"""Runs and their messages as JSON for the API."""

from dataclasses import asdict
from typing import Any, Final

from memory.query import Row
from memory.transcript import runs
from memory.transcript.model import Message, Run, ToolCall
from memory.transcript.place import Place
from memory.transcript.stored import StoredRun
from studio import token

RUNS: Final = 20
# how many pages of runs one page of messages may read, because some runs have no messages
PAGES: Final = 10
_KIND: Final = "messages"
TOO_LARGE: Final = "It is too large to be given here."

Json = dict[str, Any]


def run_json(stored: StoredRun) -> Json:
    run = stored.run
    return {
        "run_id": run.run_id,
        "parent_run_id": run.parent_run_id or None,
        "kind": run.kind,
        "name": run.name,
        "user_id": run.user_id,
        "status": run.status,
        "created_at": stored.created_at,
        "model": run.model,
        "provider": run.provider,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cached_tokens": run.cached_tokens,
        "reasoning_tokens": run.reasoning_tokens,
        "seconds": run.seconds,
        "first_token_seconds": run.first_token_seconds,
        "bytes": stored.bytes,
        "note": run.note.value if run.note else None,
        "problem": TOO_LARGE if stored.too_large else run.problem or None,
        "messages": messages_of(stored),
    }


def messages_of(stored: StoredRun) -> list[Json]:
    """Return a run's messages in order, tool results after the message with their call; none if it is too large."""
    run, found = stored.run, []
    for message in [] if stored.too_large else run.messages:
        if message.role == "system":
            continue
        if message.role != "tool" or message.text:
            found.append(_message(run, message))
        found += [_result(run, call) for call in message.calls if call.result is not None]
    return found


def page_of_messages(thread: Row, cursor: str, limit: int) -> tuple[list[Json], str | None]:
    """Return a page of messages, oldest first, and the next cursor; raise ValueError for a cursor of another list."""
    at, skip = _read(cursor)
    items: list[Json] = []
    for _ in range(PAGES):
        page = runs.list_runs(thread, Place.read(at), RUNS, runs.OLDEST)
        found = [message for stored in page.runs for message in messages_of(stored)][skip:]
        taken = found[: limit - len(items)]
        items += taken
        if len(taken) < len(found):
            return items, token.pack(_KIND, skip + len(taken), at)
        if page.next is None:
            return items, None
        at, skip = page.next, 0
        if len(items) == limit:
            break
    return items, token.pack(_KIND, 0, at)


def _read(cursor: str) -> tuple[str, int]:
    """Split a cursor into the cursor of a page of runs and the number of its messages that were sent already."""
    if not cursor:
        return "", 0
    skip, at = token.unpack(cursor, _KIND, (int,), (str,))
    if skip < 0:
        raise ValueError("not a cursor of messages")
    return at, skip


def _message(run: Run, message: Message) -> Json:
    return {
        "run_id": run.run_id,
        "id": message.message_id,
        "role": message.role,
        "content": message.text.value,
        "name": message.name,
        "reasoning": message.reasoning.value if message.reasoning else None,
        "created_at": message.created_at,
        "media": [asdict(media) for media in message.media],
        "tool_calls": [{"id": call.call_id, "name": call.name, "arguments": call.args.value} for call in message.calls],
        "tool_call_id": None,
        "tool_name": None,
        "tool_call_error": None,
    }


def _result(run: Run, call: ToolCall) -> Json:
    return {
        "run_id": run.run_id,
        "id": "",
        "role": "tool",
        "content": call.result.value if call.result else "",
        "name": "",
        "reasoning": None,
        "created_at": None,
        "media": [asdict(media) for media in call.media],
        "tool_calls": [],
        "tool_call_id": call.call_id,
        "tool_name": call.name,
        "tool_call_error": call.status == "error",
    }
