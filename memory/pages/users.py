"""The page with the users of an agent."""

from dataclasses import dataclass
from typing import Final

from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from memory.index import users as index
from memory.index.paging import Page
from memory.pages.list_page import lag_words, list_response, unknown_filters, which_rows
from memory.pages.list_rows import user_rows
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, search_words, vary_on_htmx, with_query

_SORTED: Final = {"threads": "Threads", "runs": "Runs", "seen": "Last seen"}
_LONGEST: Final = 6_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks of the list at `url`: ids that begin with `q`, sorted, after `cursor`."""

    url: str
    q: str
    sort: str
    cursor: str

    def address(self, cursor: str | None, sort: str = "") -> str:
        """Return the address of another page or order of this list; "" for None, if there is no such page."""
        if cursor is None:
            return ""
        sort = sort or self.sort
        return with_query(self.url, q=self.q, sort="" if sort == index.DEFAULT_SORT else sort, cursor=cursor)


@compressed
@get_only
@vary_on_htmx
def users(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id)
    if not agent.is_agno:
        return render(request, "memory/no_threads.html", {"held": 0, "most": 0})
    asked = _asked(request, reverse("users", args=[agent_id]))
    unknown = unknown_filters(request, {"q", "sort", "cursor"})
    # all users would look like those that were asked for
    page = Page([], None, None, 0, True) if unknown else _read(asked)
    ctx = {
        "unknown": unknown,
        "list_url": asked.url,
        "q": asked.q,
        "longest": _LONGEST,
        "sort": asked.sort,
        "page": None if unknown else page,
        "is_first": not asked.cursor,
        "address": asked.address(asked.cursor),
        "rows": user_rows(page.rows),
        "lag": lag_words(page.lag),
        "counted": which_rows(page, "user"),
        "sorts": [(name, words, asked.address("", name)) for name, words in _SORTED.items()],
        "older": asked.address(page.older),
        "newer": asked.address(page.newer),
    }
    return list_response(request, "users", ctx)


def _asked(request: AppRequest, url: str) -> _Asked:
    q, sort, cursor = search_words(request, _LONGEST), request.GET.get("sort", ""), request.GET.get("cursor", "")
    return _Asked(url, q, sort if sort in index.SORTS else index.DEFAULT_SORT, cursor)


def _read(asked: _Asked) -> Page:
    try:
        return index.list_users(asked.q, asked.sort, asked.cursor)
    except ValueError as error:
        raise BadRequest("cursor") from error
