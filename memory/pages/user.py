"""The page of one user of an agent, with the threads that they own, or that they took part in."""

from typing import Any, Final

from django.http import Http404, HttpResponse
from django.urls import reverse

from memory.index import users as index
from memory.pages.list_page import list_response
from memory.pages.thread_list import thread_list
from memory.pages.words import name_of_user
from memory.query import LONGEST_ID, Row
from studio import ids
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx

_NOT_INDEXED: Final = {"threads": 0, "runs": 0, "first_at": None, "seen_at": None}


@compressed
@get_only
@vary_on_htmx
def user(request: AppRequest, agent_id: str, user_id: str) -> HttpResponse:
    agent = guard.get_agno_agent(request, agent_id)
    url = reverse("user", args=[agent_id, user_id])
    ctx = thread_list(request, agent, url, user_id)
    if is_fragment(request):
        return list_response(request, "threads", ctx)
    parts = index.count_parts(user_id)
    found = _find(ctx, user_id, parts)
    if found is None:
        raise Http404("no such user")
    if ids.is_key(user_id):
        found = index.get_user(user_id) or found
    whole = found["user_id"]
    name = name_of_user(whole)
    ctx |= {"found": found, "name": name, "is_cut": len(whole) > len(name), "user_key": ids.encode(user_id)}
    ctx |= {"is_key": ids.is_key(user_id), "is_beginning": len(whole) == LONGEST_ID}
    ctx |= {"owned": parts.owned, "owned_is_exact": parts.owned <= index.COUNT_TO, "parts_shown": _tabs(url, parts)}
    return list_response(request, "user", ctx)


def _find(ctx: dict[str, Any], user_id: str, parts: index.Parts) -> Row | None:
    """Return the user's row; without numbers for one whose threads are all not indexed yet."""
    # a page without rows comes without the user's row
    found = (ctx["page"] and ctx["page"].user) or index.get_user(user_id)
    if found is None and parts.owned:
        return {"user_id": user_id, **_NOT_INDEXED}
    return found


def _tabs(url: str, parts: index.Parts) -> list[tuple[str, str, str, str]]:
    """Return the two lists as (value of `part`, words, number, address)."""
    owned = f"{parts.owned:,}" if parts.owned <= index.COUNT_TO else f"more than {index.COUNT_TO:,}"
    joined = "" if parts.joined is None else f"{parts.joined:,}"
    return [("", "Owned", owned, url), ("joined", "Took part in", joined, f"{url}?part=joined")]
