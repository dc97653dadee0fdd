"""Threads of an agent."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from memory.pages.thread_list import thread_list
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx


@compressed
@get_only
@vary_on_htmx
def threads(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id)
    if not agent.is_agno:
        return render(request, "memory/no_threads.html")
    ctx = thread_list(request, agent, reverse("threads", args=[agent_id]))
    return list_response(request, "threads", ctx)


def list_response(request: AppRequest, name: str, ctx: dict[str, object]) -> HttpResponse:
    """Render a list as page or fragment; the address that htmx keeps is the short one."""
    fragment = is_fragment(request)
    template = f"memory/_{name}.html" if fragment else f"memory/{name}.html"
    response = render(request, template, ctx, status=200 if ctx["page"] else 422)
    if fragment and request.get_full_path() != ctx["here"]:
        response["HX-Push-Url"] = str(ctx["here"])
    return response
