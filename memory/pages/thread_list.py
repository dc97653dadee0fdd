"""The context of a list of threads: all of an agent's, or those of one of its users."""

import time
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from django.core.exceptions import BadRequest
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from memory.index import threads
from memory.index.paging import Page
from memory.pages.list_page import lag_words, matching, unknown_filters, which_rows
from memory.pages.list_rows import thread_rows
from memory.pages.thread_query import LONGEST, PARTS, PERIODS, ThreadQuery
from memory.pages.words import STATUSES
from memory.services import reading
from studio.models import Agent
from studio.people import guard
from studio.web import AppRequest, with_query

# what a search looks at, in the words of the page, for those who may see content and those who may not
SEARCHED: Final = "titles, latest answers, ids and users"
SEARCHED_WITHOUT_CONTENT: Final = "ids and users"
# what the address of a list may name
KNOWN: Final = {*(field.name for field in fields(ThreadQuery)), "cursor"}
_SORTED: Final = {"activity": "Last activity", "created": "Created", "runs": "Runs", "tokens": "Tokens"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks of the list at `url`; `user` is the user's id on a user's page, else None."""

    url: str
    query: ThreadQuery
    cursor: str
    user: str | None

    def address(self, cursor: str | None) -> str:
        """Return the address of another page of this list; "" for None, if there is no such page."""
        if cursor is None:
            return ""
        return with_query(self.url, **self.query.fields(), cursor=cursor)

    @property
    def user_and_part(self) -> tuple[str | None, str]:
        """The user whose threads are listed, and which of them: on a user's own page those that they own."""
        if self.user is not None:
            return self.user, self.query.part or "owned"
        return self.query.user, "" if self.query.user is None else self.query.part or "any"

    def scope(self) -> dict[str, str]:
        """Return the form fields that find the same threads again, also from another page."""
        user, part = self.user_and_part
        return replace(self.query, user=user, part=part).fields()


def thread_list(request: AppRequest, agent: Agent, url: str, user: str | None = None) -> dict[str, Any]:
    """Read one page of threads and return the context of the list's template; with `user`, that user's threads.

    Raises BadRequest for an address that no page of ours has. `page` is None if the list takes too long.
    """
    query = read_query(request)
    unknown = unknown_filters(request, KNOWN - ({"user"} if user is not None else set()))
    # on a user's page the path names the user, not the filter
    if user is not None:
        query = replace(query, user=None, part=query.part if query.part == "joined" else "")
    elif query.user is None or query.part == "any":
        query = replace(query, part="")
    asked = _Asked(url, query, request.GET.get("cursor", ""), user)
    content = may_read(request, agent)
    searched = SEARCHED if content else SEARCHED_WITHOUT_CONTENT
    if unknown:
        # all threads would look like those that were asked for
        return {"searched": searched, "unknown": unknown, **_context(asked, None)}
    if content and asked.query.q and not asked.cursor:
        reading.record_search(guard.actor_of(request), agent, asked.query.q)
    return {"searched": searched, "unknown": [], **_context(asked, _read(asked, content))}


def read_query(request: AppRequest) -> ThreadQuery:
    """Read the filters of a request; raises BadRequest."""
    try:
        return ThreadQuery.read(request.POST if request.method == "POST" else request.GET)
    except ValueError as error:
        raise BadRequest("filter") from error


def may_read(request: AppRequest, agent: Agent) -> bool:
    """Tell whether the person may see content: titles, previews, and what a search finds in them."""
    return guard.may(request, "threads:read", agent.pk)


def _read(asked: _Asked, content: bool) -> Page | None:
    """Read the page that is asked for, None if that takes too long."""
    user, part = asked.user_and_part
    filter = replace(asked.query, user=user, part=part).filter(int(time.time()))
    try:
        return threads.list_threads(filter, asked.query.sort, asked.cursor, content=content)
    except ValueError as error:
        raise BadRequest("cursor") from error
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return None
        raise


def _context(asked: _Asked, page: Page | None) -> dict[str, Any]:
    scope = asked.scope()
    return {
        "list_url": asked.url,
        "query": asked.query,
        "longest": LONGEST,
        "page": page,
        "is_first": not asked.cursor,
        "of_user": asked.user is not None,
        # the list without filters; on a user's page it stays with what they own, or took part in
        "cleared": asked.url + (ThreadQuery(part=asked.query.part).encoded() if asked.user is not None else ""),
        "address": asked.address(asked.cursor),
        # what a deletion of all that match has to know
        "scope": scope,
        "all_matching": with_query("", all="1", **scope),
        **_choices(asked),
        **_phrase(asked, page),
    }


def _choices(asked: _Asked) -> dict[str, Any]:
    """Return the choices of the filters, as (value, words) or (value, words, address)."""
    chosen = asked.query.status
    statuses = [(name, status.word) for name, status in STATUSES.items()]
    # a status of another release of Agno, or one that somebody typed
    if chosen and chosen not in STATUSES:
        statuses.append((chosen, chosen))
    return {
        "statuses": statuses,
        "parts": [("" if name == "any" else name, words) for name, words in PARTS.items()],
        "periods": [(name, words) for name, (words, _) in PERIODS.items()],
        "sorts": [(name, words, asked.url + asked.query.encoded(sort=name)) for name, words in _SORTED.items()],
    }


def _phrase(asked: _Asked, page: Page | None) -> dict[str, Any]:
    """Return the rows, their number in words, and the addresses of the neighbouring pages."""
    if page is None:
        return {"rows": [], "lag": "", "counted": "", "matching": "", "older": "", "newer": ""}
    return {
        "rows": thread_rows(page.rows),
        "lag": lag_words(page.lag),
        "counted": which_rows(page, "thread"),
        "matching": matching(page),
        "older": asked.address(page.older),
        "newer": asked.address(page.newer),
    }
