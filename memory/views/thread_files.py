"""One run as JSON, one text of a run, and a thread as a file."""

import re
from collections.abc import Iterable
from typing import Final

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from memory.services import export
from memory.services.export import in_schema
from memory.store import runs
from memory.store.parse import parse_run
from memory.store.reindent import reindent
from memory.store.stored import TEXT_LIMIT
from memory.views.deck import whole
from memory.views.opening import open_thread, threads_agent
from studio import guard, ids

_TEXT: Final = "text/plain; charset=utf-8"
_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_POSITION: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


@require_safe
@vary_on_headers("HX-Request")
def thread_run(request: HttpRequest, agent_id: str, session_id: str, run_id: str) -> HttpResponseBase:
    """Show a run's JSON as plain text, or hand it over as a file where it is large or asked for."""
    agent = threads_agent(request, agent_id, "threads:read")
    at, part = request.GET.get("at", ""), request.GET.get("part", "")
    position = int(at) if _POSITION.fullmatch(at) else None
    text = runs.get_run(session_id, run_id, position, longest=TEXT_LIMIT)
    if text is None:
        raise Http404("no such run")
    fragment = bool(part and request.htmx)  # type: ignore[attr-defined]
    ticket = open_thread(request, agent, session_id, part=fragment, run_id=run_id)
    if part:
        return _part(request, text, part, ticket)
    name = f"run-{_file_name(run_id or at)}.json"
    if not text:
        pieces = in_schema(agent, runs.stream_run(session_id, run_id, position))
        return _file(name, export.FORMATS["json"], pieces)
    if request.GET.get("download"):
        return _file(name, export.FORMATS["json"], [text])
    return HttpResponse(reindent(text), content_type=_TEXT)


def _part(request: HttpRequest, text: str, path: str, ticket: str) -> HttpResponseBase:
    """One text of a run: for htmx as part of the page, else as plain text or a file."""
    found = parse_run(text).find(path)
    if found is None:
        raise Http404("no such text")
    if request.htmx:  # type: ignore[attr-defined]
        raw = request.GET.get("raw") == "1"
        href = f"{request.path}?{urlencode({**_at(request), 'part': path})}"
        ctx = {
            "block": whole(found, raw),
            "markdown": found.kind == "markdown",
            "raw": raw,
            "href": href,
            "ticket": urlencode({"ticket": ticket}),
        }
        return render(request, "memory/_text_whole.html", ctx)
    if request.GET.get("download"):
        return _file(f"text-{_file_name(path)}.txt", _TEXT, [found.value])
    return HttpResponse(found.value, content_type=_TEXT)


@require_safe
def thread_export(request: HttpRequest, agent_id: str, session_id: str) -> HttpResponseBase:
    """Hand over a thread as a file, written while it is sent."""
    agent = threads_agent(request, agent_id, "threads:export")
    form = request.GET.get("format", "json")
    if form not in export.FORMATS:
        raise BadRequest("format")
    pieces = export.export_thread(guard.actor_of(request), agent, session_id, form)
    if pieces is None:
        raise Http404("no such thread")
    return _file(f"thread-{_file_name(session_id)}.{form}", export.FORMATS[form], pieces)


def _at(request: HttpRequest) -> dict[str, str]:
    return {"at": request.GET["at"]} if request.GET.get("at") else {}


def _file(name: str, content_type: str, pieces: Iterable[str]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _file_name(text: str) -> str:
    return _NOT_IN_A_FILE_NAME.sub("-", ids.encode(text))[:60]
