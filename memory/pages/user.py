"""The page of one user of an agent, with their threads."""

from django.http import Http404, HttpResponse
from django.urls import reverse

from memory.index import users as index
from memory.pages.list_page import list_response
from memory.pages.thread_list import thread_list
from memory.pages.words import name_of_user
from studio import ids
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx


@compressed
@get_only
@vary_on_htmx
def user(request: AppRequest, agent_id: str, user_id: str) -> HttpResponse:
    agent = guard.get_agno_agent(request, agent_id)
    ctx = thread_list(request, agent, reverse("user", args=[agent_id, user_id]), user_id)
    # a page without rows comes without the user's row
    found = (ctx["page"] and ctx["page"].user) or index.get_user(user_id)
    if found is None:
        raise Http404("no such user")
    name = name_of_user(user_id)
    ctx |= {"found": found, "name": name, "is_cut": len(user_id) > len(name), "user_key": ids.encode(user_id)}
    return list_response(request, "threads" if is_fragment(request) else "user", ctx)
