"""Users of an agent, and the threads of one of them."""

from typing import Final
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from memory.index import users as store
from memory.pages.rows import user_rows
from memory.pages.thread_list import counted, thread_list
from memory.pages.thread_query import name_of_user
from memory.pages.threads import list_response
from studio import ids
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx

_SORTED: Final = {"threads": "Threads", "runs": "Runs", "seen": "Last seen"}
_LONGEST: Final = 6_000


@compressed
@get_only
@vary_on_htmx
def users(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id)
    if not agent.is_agno:
        return render(request, "memory/no_threads.html")
    q, sort, cursor = (request.GET.get(name, "") for name in ("q", "sort", "cursor"))
    q, sort = q.strip()[:_LONGEST], sort if sort in store.SORTS else store.DEFAULT_SORT
    if "\x00" in q:
        raise BadRequest("q")
    try:
        page = store.list_users(q, sort, cursor)
    except ValueError as error:
        raise BadRequest("cursor") from error
    url = reverse("users", args=[agent_id])
    ctx = {
        "url": url,
        "q": q,
        "sort": sort,
        "page": page,
        "rows": user_rows(page.rows, url),
        "counted": counted(page, "user"),
        "sorts": [(name, words, _address(url, q, name)) for name, words in _SORTED.items()],
        "older": _address(url, q, sort, page.older) if page.older else "",
        "newer": _address(url, q, sort, page.newer) if page.newer else "",
        "here": _address(url, q, sort, cursor),
        "is_first": not cursor,
    }
    return list_response(request, "users", ctx)


@compressed
@get_only
@vary_on_htmx
def user(request: AppRequest, agent_id: str, user_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id)
    if not agent.is_agno:
        raise Http404("no threads here")
    ctx = thread_list(request, agent, reverse("user", args=[agent_id, user_id]), user_id)
    # a page without rows does not say who the user is
    found = (ctx["page"] and ctx["page"].user) or store.get_user(user_id)
    if found is None:
        raise Http404("no such user")
    name = name_of_user(user_id)
    ctx |= {"found": found, "name": name, "is_cut": len(user_id) > len(name), "user_key": ids.encode(user_id)}
    return list_response(request, "threads" if is_fragment(request) else "user", ctx)


def _address(url: str, q: str, sort: str, cursor: str | None = "") -> str:
    asked = {"q": q, "sort": "" if sort == store.DEFAULT_SORT else sort, "cursor": cursor or ""}
    asked = {name: value for name, value in asked.items() if value}
    return f"{url}?{urlencode(asked)}" if asked else url
