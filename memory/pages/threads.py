"""The page with the threads of an agent."""

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from memory.index import erasure
from memory.pages.list_page import list_response
from memory.pages.thread_list import thread_list
from memory.services import deletion
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, vary_on_htmx


@compressed
@get_only
@vary_on_htmx
def threads(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id)
    if not agent.is_agno:
        held = erasure.count(deletion.MOST + 1)
        return render(request, "memory/no_threads.html", {"held": held, "most": deletion.MOST})
    ctx = thread_list(request, agent, reverse("threads", args=[agent_id]))
    return list_response(request, "threads", ctx)
