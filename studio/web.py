"""Helpers that all views share: the typed request, method decorators, redirects and addresses."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.middleware import HtmxDetails

from studio.agents.sidebar import Neighbour
from studio.models import Agent, User

SEARCH: Final = 120  # characters of a search for agents or people

# 18 digits always fit into a bigint
_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

get_only = require_safe
post_only = require_POST
get_or_post = require_http_methods(["GET", "HEAD", "POST"])
# for views that answer htmx with a part of their page
vary_on_htmx = vary_on_headers("HX-Request", "HX-Target")


class AppRequest(HttpRequest):
    """A request of somebody who is signed in, with what the middleware adds.

    `agent` and `sidebar` are set by `guard.get_agent`; `needs` are the rights that guard has asked for.
    """

    id: str
    htmx: HtmxDetails
    user: User
    agent: Agent
    sidebar: list[Neighbour]
    needs: set[tuple[str, str | None]]


def is_fragment(request: AppRequest) -> bool:
    """Tell whether htmx asks for a part of the page; a boosted link asks for its `main`."""
    return bool(request.htmx) and not is_boosted(request)


def is_boosted(request: HttpRequest) -> bool:
    """Tell whether a link asks for a page without what is around its `main`."""
    return request.headers.get("HX-Boosted") == "true"


def name_of(request: HttpRequest) -> str:
    """Return the name of the route, "" if none was found."""
    match = request.resolver_match
    return (match and match.url_name) or ""


def see_other(to: str, *args: Any) -> HttpResponseRedirect:
    """Redirect with 303, so that the browser goes on with GET; `to` is an address or the name of a route."""
    return HttpResponseRedirect(resolve_url(to, *args), status=303)


def with_query(path: str, **query: str | None) -> str:
    """Write an address with its query string, without empty values."""
    found = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{found}" if found else path


def search_words(request: HttpRequest, longest: int) -> str:
    """Read the words of a search, cut to `longest` characters; raises BadRequest for NUL, which Postgres refuses."""
    words = request.GET.get("q", "")
    if "\x00" in words:
        raise BadRequest("NUL in the search")
    return words.strip()[:longest]


@contextmanager
def open_forms_kept(request: HttpRequest, user: Any) -> Iterator[None]:
    """Let the forms in a person's other tabs stay valid where they sign in again, so that nothing typed is lost."""
    who = user.pk
    secret = request.META.get("CSRF_COOKIE") if who is not None and request.user.pk == who else None
    yield
    if secret and request.user.pk == who:
        request.META["CSRF_COOKIE"] = secret


def whole_number(text: str) -> int | None:
    """Read 1 to 18 ASCII digits; None for any other text, such as 1e9, 10.5, -1 or ١٠."""
    return int(text) if _DIGITS.fullmatch(text) else None


def day(text: str) -> date | None:
    """Read a day like 2026-11-23; None for any other text, such as 2026-1-2, which a date field cannot show."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
