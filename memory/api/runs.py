"""Runs and their messages as JSON for the API."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Final

from memory.query import Row
from memory.transcript import runs
from memory.transcript.model import Message, Part, Run, Step, Text, ToolCall
from memory.transcript.place import Place
from memory.transcript.stored import StoredRun
from studio import token
from studio.formats import counted, size

RUNS: Final = 20
# how many pages of runs one page of messages may read, because some runs have no messages
PAGES: Final = 10
_KIND: Final = "messages"
TOO_LARGE: Final = "It is too large to be given here."

Json = dict[str, Any]


def page_of_runs(thread: Row, stored: list[StoredRun]) -> list[Json]:
    """Return runs as JSON; a run inside another that is stored by itself too is given once."""
    apart = _apart(thread, stored)
    return [_run(one, apart) for one in stored]


def _run(stored: StoredRun, apart: frozenset[str]) -> Json:
    run = stored.run
    inside = [] if stored.too_large else list(_inside(run, apart))
    return {
        **_facts(run),
        "created_at": stored.created_at,
        "bytes": stored.bytes,
        "problem": TOO_LARGE if stored.too_large else run.problem or None,
        "members": [_facts(member) for member in inside],
        "steps": [_step(step) for step in run.steps],
        "sources": [asdict(source) for source in run.sources],
        "searches": run.searches,
        "references": [{"query": one.query, "name": one.name, **_text(one.text)} for one in run.references],
        "followups": run.followups,
        "media": [asdict(media) for media in run.media],
        "messages": list(_messages(stored, apart)),
    }


def _facts(run: Run) -> Json:
    return {
        "run_id": run.run_id,
        "parent_run_id": run.parent_run_id or None,
        "kind": run.kind,
        "name": run.name,
        "user_id": run.user_id,
        "status": run.status,
        "created_at": run.created_at,
        "model": run.model,
        "provider": run.provider,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cached_tokens": run.cached_tokens,
        "reasoning_tokens": run.reasoning_tokens,
        "seconds": run.seconds,
        "first_token_seconds": run.first_token_seconds,
        "note": run.note.value if run.note else None,
        "problem": run.problem or None,
    }


def page_of_messages(thread: Row, cursor: str, limit: int) -> tuple[list[Json], str | None]:
    """Return a page of messages, oldest first, and the next cursor; raise ValueError for a cursor of another list."""
    at, skip = _read(cursor)
    items: list[Json] = []
    for _ in range(PAGES):
        page = runs.list_runs(thread, Place.read(at), RUNS, runs.OLDEST)
        apart = _apart(thread, page.runs)
        found = [message for stored in page.runs for message in _messages(stored, apart)][skip:]
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


def _apart(thread: Row, stored: list[StoredRun]) -> frozenset[str]:
    """Return the ids of runs that are given by themselves, on this page or on another, also if they are in another."""
    here = frozenset(one.run_id for one in stored if one.run_id)
    inside = {member.run_id for one in stored if not one.too_large for member in _inside(one.run, here)}
    return here | runs.stored_by_themselves(thread, inside - {""})


def _inside(run: Run, apart: frozenset[str]) -> Iterator[Run]:
    """Yield the runs inside a run, at any depth, that are not stored by themselves."""
    for member in run.members:
        if member.run_id not in apart:
            yield member
            yield from _inside(member, apart)


def _messages(stored: StoredRun, apart: frozenset[str]) -> Iterator[Json]:
    """Yield what was said in a run and in those inside it, and notes for what cannot be given."""
    if stored.too_large:
        yield _note(stored.run, f"This run holds {size(stored.bytes)} of JSON. {TOO_LARGE}")
    else:
        yield from _said(stored.run, apart)


def _said(run: Run, apart: frozenset[str]) -> Iterator[Json]:
    if run.problem:
        yield _note(run, f"This run cannot be given here. {run.problem}")
    for message in run.messages:
        if message is not run.answer:
            yield from _with_results(run, message)
    inside = [item for member in run.members if member.run_id not in apart for item in _said(member, apart)]
    yield from inside
    yield from _steps(run, {item["content"] for item in inside})
    if run.answer:
        yield from _with_results(run, run.answer)
    if run.unread:
        yield _note(run, f"This run holds {counted(run.unread, 'more message')} or calls than are given here.")
    if run.note:
        yield _note(run, run.note.value, run.note.is_cut)


def _steps(run: Run, said: set[str]) -> Iterator[Json]:
    """Yield what steps gave back that no run inside this one said."""
    for step in run.steps:
        if (step.text or step.parts or step.media) and step.text.value not in said:
            role = "note" if step.failed else "assistant"
            by = step.executor or step.name
            yield _item(run, role, **_content(step.text, step.parts), agent=by, media=list(map(asdict, step.media)))


def _with_results(run: Run, message: Message) -> Iterator[Json]:
    """Yield a message, but not the system's, and after it the results of its calls."""
    if message.role == "system":
        return
    if message.role != "tool" or message.text:
        yield _message(run, message)
    yield from (_result(run, call) for call in message.calls if call.result is not None)


def _message(run: Run, message: Message) -> Json:
    told = _content(message.text, message.parts)
    beside = [message.reasoning, *(call.args for call in message.calls)]
    return _item(
        run,
        message.role,
        content=told["content"],
        truncated=told["truncated"] or any(text.is_cut for text in beside if text),
        parts=told["parts"],
        id=message.message_id,
        name=message.name,
        reasoning=message.reasoning.value if message.reasoning else None,
        redacted_reasoning=message.redacted or None,
        created_at=message.created_at,
        media=[asdict(media) for media in message.media],
        tool_calls=[{"id": call.call_id, "name": call.name, "arguments": call.args.value} for call in message.calls],
    )


def _result(run: Run, call: ToolCall) -> Json:
    return _item(
        run,
        "tool",
        **_content(call.result, call.parts),
        media=[asdict(media) for media in call.media],
        tool_call_id=call.call_id,
        tool_name=call.name,
        tool_call_error=call.status == "error",
    )


def _note(run: Run, text: str, truncated: bool = False) -> Json:
    return _item(run, "note", content=text, truncated=truncated)


def _step(step: Step) -> Json:
    about = {"name": step.name, "executor": step.executor, "failed": step.failed}
    return {**about, **_content(step.text, step.parts), "media": [asdict(media) for media in step.media]}


def _content(text: Text | None, parts: Iterable[Part]) -> Json:
    """Return the words of a text and of the parts beside it, and each part by itself."""
    parts = list(parts)
    texts = [text, *(part.text for part in parts if part.kind != "other")]
    return {
        "content": "\n".join(one.value for one in texts if one),
        "truncated": any(one.is_cut for one in texts if one),
        "parts": [{"kind": part.kind, "name": part.name, **_text(part.text)} for part in parts],
    }


def _text(text: Text) -> Json:
    return {"content": text.value, "truncated": text.is_cut}


def _item(run: Run, role: str, **more: Any) -> Json:
    empty: Json = {
        "run_id": run.run_id,
        "agent": run.name,
        "id": "",
        "role": role,
        "content": "",
        "truncated": False,
        "parts": [],
        "name": "",
        "reasoning": None,
        "redacted_reasoning": None,
        "created_at": None,
        "media": [],
        "tool_calls": [],
        "tool_call_id": None,
        "tool_name": None,
        "tool_call_error": None,
    }
    return empty | more
