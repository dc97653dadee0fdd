"""A thread as one reads it."""

import logging
import secrets
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django_tenants.utils import schema_context

from memory.index.threads import get_thread
from memory.pages import run_html
from memory.pages.cards import Reading
from memory.pages.open_logged import open_thread, threads_agent
from memory.pages.run_cards import Deck
from memory.query import Row
from memory.transcript import runs, session_row
from memory.transcript.place import Place
from studio import ids
from studio.compress import compressed
from studio.models import Agent
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx

log = logging.getLogger("memory")


@compressed
@get_only
@vary_on_htmx
def transcript(request: AppRequest, agent_id: str, session_id: str) -> HttpResponseBase:
    """Show the thread at once and its runs as they come; htmx asks for further pages of runs."""
    agent = threads_agent(request, agent_id, "threads:read")
    fragment = is_fragment(request)
    cursor, anchor_run = _place(request)
    thread = get_thread(session_id)
    if thread is None and fragment:
        return render(request, "memory/_thread_gone.html")
    if thread is None:
        raise Http404("no such thread")
    how = Reading(
        agent_id,
        session_id,
        order="oldest" if request.GET.get("order") == "oldest" else "newest",
        raw=request.GET.get("raw") == "1",
        ticket=open_thread(request, agent, session_id, part=bool(fragment)),
    )
    if fragment:
        return render(request, "memory/_runs.html", _runs(agent, thread, how, cursor, anchor_run, lazy=True))
    ctx = {
        "thread": thread,
        "reading": how,
        "key": ids.encode(session_id),
        "others": [user for user in thread["users"] if user != thread["user_id"]],
        "more_users": max(thread["users_count"] - len(thread["users"]), 0),
        "summary": session_row.get_summary(session_id) if thread["has_summary"] else None,
        "from_start": not cursor and not anchor_run,
        "settings": agent.memory,
        "has_history": thread["session_type"] != "workflow",
    }
    # where the runs will stand in the page; nobody who writes a transcript can know it
    ctx["slot"] = slot = secrets.token_hex(16)
    frame = render_to_string("memory/transcript.html", ctx, request)
    return StreamingHttpResponse(_stream(request, frame.split(slot), agent, thread, how, cursor, anchor_run))


def _place(request: AppRequest) -> tuple[str, str]:
    """Where to begin: a cursor that we made, or the id of a run."""
    cursor = request.GET.get("cursor", "")
    try:
        Place.read(cursor)
        return cursor, ids.decode(request.GET["run"]) if request.GET.get("run") else ""
    except ValueError as error:
        raise BadRequest("place") from error


def _stream(
    request: AppRequest, frame: list[str], agent: Agent, thread: Row, how: Reading, cursor: str, anchor_run: str
) -> Iterator[str]:
    """The page up to its runs, which the browser draws, then the runs, then the rest."""
    before, after = frame
    yield before
    try:
        # the request's schema is gone by now
        with schema_context(agent.schema_name):
            html = render_to_string("memory/_runs.html", _runs(agent, thread, how, cursor, anchor_run), request)
    except DatabaseError:
        log.exception("runs of a thread could not be read")
        html = render_to_string("memory/_runs_failed.html", {"reading": how}, request)
    yield html
    yield after


def _runs(
    agent: Agent, thread: Row, how: Reading, cursor: str, anchor_run: str, *, lazy: bool = False
) -> dict[str, Any]:
    """What a page of runs needs. A lazy one joins others, so it leads on only in its own direction."""
    window = agent.memory.num_history_runs if agent.memory.session_storage else 0
    page = runs.list_runs(thread, cursor, runs.PAGE, how.order, anchor_run, window)
    place = Place.read(cursor)
    downwards = how.order != "oldest"
    back, on = (page.newer, page.older) if downwards else (page.older, page.newer)
    backwards = place is not None and place.newer == downwards
    return {
        "thread": thread,
        "reading": how,
        "runs": run_html.runs(Deck(how, thread["user_id"]).deal(page), focus=lazy),
        "lazy": lazy,
        "back": how.page(back) if back and (backwards or not lazy) else None,
        "on": how.page(on) if on and not (backwards and lazy) else None,
        "left": None if page.shown is None else max(page.total - page.shown, 0),
        "downwards": downwards,
        "window": window,
    }
