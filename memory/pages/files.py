"""A run as JSON, one text of a run, and a thread as a download."""

import re
from collections.abc import Iterable
from typing import Final

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import urlencode

from memory.index.threads import whole_id
from memory.pages.run_cards import whole_block
from memory.services import export, reading
from memory.services.export import in_schema
from memory.transcript import runs
from memory.transcript.json_text import indent
from memory.transcript.parse import parse_run
from memory.transcript.stored import TEXT_LIMIT
from studio import ids
from studio.compress import compressed
from studio.people import guard
from studio.visible import visible_json
from studio.web import AppRequest, get_only, vary_on_htmx, whole_number, with_query

# a run of which one text is shown may hold photos beside it
PART_LIMIT: Final = 20_000_000
_TEXT: Final = "text/plain; charset=utf-8"
_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@compressed
@get_only
@vary_on_htmx
def thread_run(request: AppRequest, agent_id: str, session_id: str, run_id: str) -> HttpResponseBase:
    """Show a run's JSON as plain text, or send it as a file if it is large or a download is asked for."""
    agent = guard.get_agno_agent(request, agent_id, "threads:read")
    at, part = request.GET.get("at", ""), request.GET.get("part", "")
    position = whole_number(at)
    whole = whole_id(session_id)
    text = whole and runs.get_run(whole, run_id, position, longest=PART_LIMIT if part else TEXT_LIMIT)
    if whole is None or text is None:
        raise Http404("no such run")
    fragment = bool(part and request.htmx)
    # a text that a page loads belongs to the opening of the page, which its ticket proves was logged
    given = request.GET.get("ticket", "") if fragment else ""
    ticket = reading.open_logged(guard.actor_of(request), agent, ids.key(whole), given, run_id)
    if part and text:
        return _part(request, text, part, ticket)
    if fragment:
        href = with_query(request.path, at=at, download="1")
        return render(request, "memory/_text_too_large.html", {"href": href, "most": PART_LIMIT})
    name = f"run-{_file_name(run_id or at)}.json"
    if not text:
        pieces = in_schema(agent, runs.stream_run(whole, run_id, position))
        return _file(name, export.FORMATS["json"], pieces)
    if request.GET.get("download"):
        return _file(name, export.FORMATS["json"], [text])
    return HttpResponse(visible_json(indent(text)), content_type=_TEXT)


def _part(request: AppRequest, text: str, path: str, ticket: str) -> HttpResponseBase:
    """Answer with one text of a run: for htmx as part of the page, else as plain text or a file."""
    found = parse_run(text).find(path)
    if found is None:
        raise Http404("no such text")
    if request.htmx:
        raw = request.GET.get("raw") == "1"
        href = with_query(request.path, at=request.GET.get("at"), part=path)
        ctx = {
            "block": whole_block(found, raw),
            "markdown": found.kind == "markdown",
            "raw": raw,
            "href": href,
            "ticket": urlencode({"ticket": ticket}),
        }
        return render(request, "memory/_text_whole.html", ctx)
    if request.GET.get("download"):
        return _file(f"text-{_file_name(path)}.txt", _TEXT, [found.value])
    return HttpResponse(found.value, content_type=_TEXT)


@get_only
def thread_export(request: AppRequest, agent_id: str, session_id: str) -> HttpResponseBase:
    """Send a thread as a file, which is read while it is sent."""
    agent = guard.get_agno_agent(request, agent_id, "threads:export")
    form = request.GET.get("format", "json")
    if form not in export.FORMATS:
        raise BadRequest("format")
    pieces = export.export_thread(guard.actor_of(request), agent, session_id, form)
    if pieces is None:
        raise Http404("no such thread")
    return _file(f"thread-{_file_name(session_id)}.{form}", export.FORMATS[form], pieces)


def _file(name: str, content_type: str, pieces: Iterable[str]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(pieces, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _file_name(text: str) -> str:
    return _NOT_IN_A_FILE_NAME.sub("-", ids.encode(text))[:60]
