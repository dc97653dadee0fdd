"""Threads of an agent."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from memory.views.thread_list import thread_list
from studio import guard


@require_safe
@vary_on_headers("HX-Request")
def threads(request: HttpRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id)
    if not agent.is_agno:
        return render(request, "memory/no_threads.html")
    ctx = thread_list(request, agent, reverse("threads", args=[agent_id]))
    return list_response(request, "threads", ctx)


def list_response(request: HttpRequest, name: str, ctx: dict[str, object]) -> HttpResponse:
    """Render a list as page or fragment; the address that htmx keeps is the short one."""
    htmx = request.htmx  # type: ignore[attr-defined]
    fragment = htmx and not htmx.boosted
    template = f"memory/_{name}.html" if fragment else f"memory/{name}.html"
    response = render(request, template, ctx, status=200 if ctx["page"] else 422)
    if fragment and request.get_full_path() != ctx["here"]:
        response["HX-Push-Url"] = str(ctx["here"])
    return response
