"""What a page with a list of threads shows: an agent's, or those of one of its users."""

import time
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from memory.index import threads
from memory.index.paging import Page
from memory.pages.rows import thread_rows
from memory.pages.thread_query import PERIODS, STATUSES, ThreadQuery
from memory.services import reading
from studio import ids
from studio.models import Agent
from studio.people import guard
from studio.web import AppRequest

_SORTED: Final = {"activity": "Last activity", "created": "Created", "runs": "Runs", "tokens": "Tokens"}


def thread_list(request: AppRequest, agent: Agent, url: str, user: str | None = None) -> dict[str, Any]:
    """Read one page of threads for the list's template; `user` limits it to that user's own page.

    Raises BadRequest for what no page of ours would ask. A list that takes too long has no page.
    """
    query = read_query(request)
    if user is not None:
        query = replace(query, user=None)
    asked = query.filter(int(time.time()))
    cursor = request.GET.get("cursor", "")
    content, deletable = may_read(request, agent), request.user.access.may("threads:delete", agent.pk)
    if query.q and not cursor and content:
        reading.record_search(guard.actor_of(request), agent, query.q)
    scope = query.fields() | ({"user": ids.encode(user)} if user is not None else {})
    page = _page(asked if user is None else replace(asked, user_id=user), query.sort, cursor, content)
    rows = page.rows if page else []
    return {
        "url": url,
        "query": query,
        "page": page,
        "rows": thread_rows(rows, agent, content=content, deletable=deletable, previews=bool(query.q)),
        "counted": counted(page, "thread") if page else "",
        "matching": matching(page) if page else "",
        "sorts": [(name, words, url + query.encoded(sort=name)) for name, words in _SORTED.items()],
        "statuses": _statuses(query.status),
        "periods": [(name, words) for name, (words, _) in PERIODS.items()],
        "older": _address(url, query, page.older) if page and page.older else "",
        "newer": _address(url, query, page.newer) if page and page.newer else "",
        "here": _address(url, query, cursor),
        "is_first": not cursor,
        # what a deletion of all that match has to know
        "scope": scope,
        "all_matching": "?" + urlencode({"all": "1", **scope}),
        "of_user": user is not None,
        "deletable": deletable,
    }


def read_query(request: AppRequest) -> ThreadQuery:
    """Read the filters of a request; raises BadRequest."""
    try:
        return ThreadQuery.read(request.POST if request.method == "POST" else request.GET)
    except ValueError as error:
        raise BadRequest("filter") from error


def may_read(request: AppRequest, agent: Agent) -> bool:
    """Whether the person may see what was said: titles, previews, and what a search finds in them."""
    return request.user.access.may("threads:read", agent.pk)


def counted(page: Page, noun: str) -> str:
    """Say which rows a page shows, and of how many: "51–100 of more than 1,000 threads"."""
    if not page.rows:
        return ""
    last = page.start + len(page.rows) - 1
    if page.start == 1 and page.older is None:
        return f"{last:,} {noun}{'' if last == 1 else 's'}"
    return f"{page.start:,}–{last:,} of {how_many(page)} {noun}s"


def how_many(page: Page) -> str:
    """Write a page's count with a word for what it is: "312", "more than 1,000", "about 12,400"."""
    if page.count_is_exact:
        return f"{page.count:,}"
    if page.count_is_floor:
        return f"more than {page.count:,}"
    unit = 10 ** max(len(str(page.count)) - 3, 0)
    return f"about {round(page.count / unit) * unit:,}"


def matching(page: Page) -> str:
    """Name all threads that match, with their number: "all 312 matching threads"."""
    return f"all {page.count:,} matching threads" if page.count_is_exact else f"all matching threads ({how_many(page)})"


def _page(asked: threads.Filter, sort: str, cursor: str, content: bool) -> Page | None:
    try:
        return threads.list_threads(asked, sort, cursor, content=content)
    except ValueError as error:
        raise BadRequest("cursor") from error
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return None
        raise


def _address(url: str, query: ThreadQuery, cursor: str) -> str:
    start = url + query.encoded()
    return f"{start}{'&' if '?' in start else '?'}cursor={cursor}" if cursor else start


def _statuses(chosen: str) -> list[tuple[str, str]]:
    """What can be chosen, and what is chosen though no list of ours knows it."""
    known = [(status, word) for status, (_, word) in STATUSES.items()]
    return known if not chosen or chosen in STATUSES else [*known, (chosen, chosen)]
