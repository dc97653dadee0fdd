"""The page with the transcript of a thread."""

import logging
from typing import Any

from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import Http404, HttpResponse
from django.shortcuts import render

from memory.history.question import Settings
from memory.index.threads import get_thread
from memory.pages.list_page import lag_words
from memory.pages.reading_mode import ReadingMode
from memory.pages.run_cards import RunCards
from memory.pages.words import name_of_user
from memory.query import Row
from memory.services import reading
from memory.services.next_turn import NextTurn, next_turn
from memory.transcript import runs, session_row
from memory.transcript.place import Place
from studio import ids
from studio.compress import compressed
from studio.models import Agent
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx, whole_number

log = logging.getLogger("memory")


@compressed
@get_only
@vary_on_htmx
def transcript(request: AppRequest, agent_id: str, session_id: str) -> HttpResponse:
    """Show a thread with a page of its runs; htmx asks for further pages of runs."""
    agent = guard.get_agno_agent(request, agent_id, "threads:read")
    fragment = is_fragment(request)
    thread = get_thread(session_id)
    if thread is None and fragment:
        return render(request, "memory/_thread_gone.html")
    if thread is None:
        raise Http404("no such thread")
    place = _place(request, thread)
    key = ids.key(thread["session_id"])
    given = request.GET.get("ticket", "") if fragment else ""
    mode = ReadingMode(
        agent_id,
        key,
        order="oldest" if request.GET.get("order") == "oldest" else "newest",
        raw=request.GET.get("raw") == "1",
        ticket=reading.open_logged(guard.actor_of(request), agent, key, given),
    )
    if fragment:
        return render(request, "memory/_runs.html", _runs(agent, thread, mode, place, lazy=True))
    ctx = _about(agent, thread) | {"reading": mode, "from_start": place is None}
    # if the runs cannot be read, the page still shows the facts of the thread
    try:
        ctx |= _runs(agent, thread, mode, place)
    except DatabaseError:
        log.exception("runs of a thread could not be read")
        ctx |= {"cards": None, "summary": session_row.get_summary(thread["session_id"])}
    return render(request, "memory/transcript.html", ctx)


def _place(request: AppRequest, thread: Row) -> Place | None:
    """Return where the page begins, by a run or a cursor; raise BadRequest for what is neither."""
    order = request.GET.get("order", "")
    try:
        here = Place.read(request.GET.get("cursor", ""))
        run_id = ids.decode(request.GET["run"]) if request.GET.get("run") else None
        position = whole_number(request.GET["at"]) if request.GET.get("at") else None
    except ValueError as error:
        raise BadRequest("place") from error
    return here if run_id is None else runs.find_place(thread, run_id, position, order) or here


def _about(agent: Agent, thread: Row) -> dict[str, Any]:
    """Return the context about the thread itself."""
    return {
        "thread": thread,
        "key": ids.key(thread["session_id"]),
        "lag": lag_words(thread["lag"]),
        "owner": thread["user_id"] and name_of_user(thread["user_id"]),
        "others": [(user, name_of_user(user)) for user in thread["users"] if user != thread["user_id"]],
        "more_users": max(thread["users_count"] - len(thread["users"]), 0),
        "settings": agent.memory,
        "has_history": thread["session_type"] != "workflow",
    }


def _summary(thread: Row, turn: NextTurn | None) -> session_row.Summary | None:
    if not thread["has_summary"]:
        return None
    # it mostly came with the runs
    stored = turn.summary if turn else None
    return (
        session_row.read_summary(stored) if isinstance(stored, dict) else session_row.get_summary(thread["session_id"])
    )


def _runs(agent: Agent, thread: Row, mode: ReadingMode, place: Place | None, *, lazy: bool = False) -> dict[str, Any]:
    """Return the context of a page of runs; a `lazy` one is added by htmx to those that are shown already."""
    page = runs.list_runs(thread, place, runs.PAGE, mode.order)
    # a workflow's runs are no history
    turn = None if thread["session_type"] == "workflow" else next_turn(thread, Settings.of_tab(agent.memory), page)
    downwards = mode.order != "oldest"
    backwards = place is not None and place.newer == downwards
    # a lazy page links on in its own direction only: on its other side are the runs that are shown already
    return {
        "cards": RunCards(mode, thread["user_id"]).nest(page, turn),
        "summary": None if lazy else _summary(thread, turn),
        "lazy": lazy,
        "back": mode.page(page.previous) if page.previous and (backwards or not lazy) else None,
        "on": mode.page(page.next) if page.next and not (backwards and lazy) else None,
        "left": page.left,
        "downwards": downwards,
    }
