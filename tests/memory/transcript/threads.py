"""Threads in every layout, and their runs by id."""

from typing import Any

from django.db import connection

from memory.index.threads import get_thread
from memory.transcript.place import Place
from memory.transcript.runs import RunPage, find_place, list_runs
from studio.models import Agent
from tests.world import run, write_run, write_thread

LAYOUTS = ("column", "table", "both", "split", "unindexed")


def agno(run_id: str, **more: Any) -> dict[str, Any]:
    return run(run_id, f"question {run_id}", f"answer {run_id}", **{"agent_id": "support", **more})


def write(agent: Agent, session_id: str, runs: list[dict[str, Any]], layout: str) -> None:
    """Write runs that are given in the transcript's order."""
    if layout == "split":
        half = len(runs) // 2
        write_thread(agent, session_id, runs[:half], layout="column")
        for index, item in enumerate(runs[half:], half):
            write_run(agent, session_id, item, index)
    elif layout == "unindexed":
        write_thread(agent, session_id, runs, layout="column")
        execute("delete from memory_thread where session_id = %s", session_id)
    else:
        write_thread(agent, session_id, runs, layout=layout)


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def thread_of(session_id: str) -> dict[str, Any]:
    thread = get_thread(session_id)
    assert thread is not None
    return thread


def page(session_id: str, cursor: str | None = "", anchor_run: str = "", **more: Any) -> RunPage:
    thread, here = thread_of(session_id), Place.read(cursor or "")
    if anchor_run:
        here = find_place(thread, anchor_run, order=more.get("order", "newest"))
    return list_runs(thread, here, **more)


def ids(page: RunPage) -> list[str | None]:
    return [stored.run_id for stored in page.runs]


def flat(pages: list[list[str | None]]) -> list[str | None]:
    return [run_id for one in pages for run_id in one]


def walk(session_id: str, **more: Any) -> list[list[str | None]]:
    """Ids of each page from the first to the last, by its links."""
    pages = [page(session_id, **more)]
    while cursor := pages[-1].next:
        pages.append(page(session_id, cursor, **more))
    return [ids(one) for one in pages]
