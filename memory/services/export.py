"""A thread as a file, its row and all runs, written while it is read."""

import json
from collections.abc import Iterator
from typing import Final, TypeVar

from django_tenants.utils import schema_context

from memory.index.threads import get_thread
from memory.query import Row
from memory.services.markdown import thread_markdown
from memory.transcript import runs, session_row
from studio import ids
from studio.audit.record import Actor, record
from studio.models import Agent

T = TypeVar("T")

FORMATS: Final = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "md": "text/markdown; charset=utf-8",
}


def export_thread(actor: Actor, agent: Agent, session_id: str, form: str = "json") -> Iterator[str] | None:
    """Log a download and return its text in pieces, or None if there is no such thread.

    `json` is one object, {"agent", "session", "runs"}; `ndjson` has {"session": …} on its first line and a
    run on each other. Both have the JSON as Postgres stores it. `md` is Markdown, to be read by people.
    """
    with schema_context(agent.schema_name):
        thread = get_thread(session_id)
    if thread is None:
        return None
    record(actor, "thread.export", agent=agent, object=ids.key(thread["session_id"]), data={"format": form})
    if form == "md":
        return in_schema(agent, thread_markdown(thread))
    return _ndjson(agent, thread) if form == "ndjson" else _json(agent, thread)


def _json(agent: Agent, thread: Row) -> Iterator[str]:
    about = json.dumps({"id": agent.pk, "name": agent.name}, ensure_ascii=False)
    yield f'{{"agent": {about},\n"session": '
    yield from _row(agent, thread)
    yield ',\n"runs": ['
    for number, pieces in enumerate(_runs(agent, thread)):
        yield ",\n" if number else "\n"
        yield from pieces
    yield "\n]}\n"


def _ndjson(agent: Agent, thread: Row) -> Iterator[str]:
    yield '{"session": '
    yield from _row(agent, thread)
    yield "}\n"
    for pieces in _runs(agent, thread):
        yield from pieces
        yield "\n"


def _row(agent: Agent, thread: Row) -> Iterator[str]:
    # an agent may have put anything into it, so it comes in pieces, too
    pieces = in_schema(agent, session_row.stream_row(thread["session_id"]))
    # a thread that was deleted meanwhile has none
    yield next(pieces, "null")
    yield from pieces


def _runs(agent: Agent, thread: Row) -> Iterator[Iterator[str]]:
    for pieces in in_schema(agent, runs.iter_runs(thread)):
        yield in_schema(agent, pieces)


def in_schema(agent: Agent, source: Iterator[T]) -> Iterator[T]:
    """Yield from a generator, each step in the agent's schema."""
    # A stream is sent when its request has left the schema already, and between two steps other code may use
    # the same connection.
    while True:
        with schema_context(agent.schema_name):
            piece = next(source, None)
        if piece is None:
            return
        yield piece
