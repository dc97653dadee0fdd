"""The pages for 400, 403, 404, 429, 500 and 503. Only 403 and 404 ask the database."""

import logging
import sys
from typing import Any, Final, cast

from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, DataError, InterfaceError, OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from psycopg.errors import ReadOnlySqlTransaction

from studio import running
from studio.agents.provision import lacks_tables
from studio.api.problems import answer
from studio.audit.record import NoLonger, NotWritten
from studio.audit.refusals import refused, visitor
from studio.audit.tombstones import NotNoted
from studio.models import Agent
from studio.people.guard import actor_of
from studio.postgres.backend.base import is_stale
from studio.web import AppRequest, is_boosted, name_of

log = logging.getLogger("studio")
API = "/api/"
UNKNOWN_HOST = (
    "The studio does not answer under the host name of this address. Whoever runs it adds the name to ALLOWED_HOSTS,"
    " or sets PUBLIC_URL to this address."
)
# of the route that found nothing: what may have become of it, the words of a link that leads on, and its route
_NOWHERE: Final = ("There is nothing at this address, or it was removed.", "Memory of {}", "memory")
_THREAD: Final = ("This thread was deleted, or there never was one at this address.", "All threads of {}", "threads")
_USER: Final = ("No thread of this user is here, or not any more.", "All users of {}", "users")
_GONE: Final = {"thread": _THREAD, "thread-run": _THREAD, "thread-export": _THREAD, "user": _USER}


def _page(
    request: HttpRequest,
    status: int,
    title: str,
    text: str,
    *,
    framed: bool = False,
    way: tuple[str, str] | None = None,
) -> HttpResponse:
    """Render an error page, with the words and the address of a way on.

    A framed one has the sidebar, for somebody who is signed in; to a boosted link it stays.
    """
    if request.path_info.startswith(API):
        return answer(status, text)
    ctx: dict[str, Any] = {"title": title, "text": text, "status": status, "way": way}
    ctx["request_id"] = getattr(request, "id", "")
    if is_boosted(request):
        ctx |= {"layout": "base.html", "boosted": True, "is_swapped": True, "still_allowed": ""}
        return HttpResponse(render_to_string("studio/error.html", ctx), status=status)
    if framed and not request.headers.get("HX-Request"):
        try:
            if request.user.is_authenticated:
                html = render_to_string("studio/error.html", {**ctx, "layout": "base.html"}, request)
                return HttpResponse(html, status=status)
        except (AttributeError, DatabaseError):
            # there is no user where a middleware refused the request before the person was read
            log.warning("error page without its frame", exc_info=True)
    # without the request, whose context processors would ask the database who this is
    return HttpResponse(render_to_string("studio/error.html", {**ctx, "layout": "studio/alone.html"}), status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    if isinstance(exception, DisallowedHost):
        return _page(request, 400, "Unknown host", UNKNOWN_HOST)
    return _page(
        request,
        400,
        "Bad request",
        "The address or the form holds something that cannot be read. Go back and try again.",
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    ours = cast(AppRequest, request)
    if ours.user.is_authenticated:
        refused(actor_of(ours), "refusal.page", object=request.path, agent=getattr(request, "agent", None))
    if isinstance(exception, NoLonger):
        return _page(
            request,
            403,
            "Nothing was changed",
            "Meanwhile your session ended, or an admin changed what you may do. Load the page again to see what is so.",
        )
    return _page(
        request,
        403,
        "Not allowed",
        "Your role does not include this. An admin of the studio can change that.",
        framed=True,
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    # set for those who may see the agent, so that the page says nothing of others
    agent: Agent | None = getattr(request, "agent", None)
    text, words, name = _GONE.get(name_of(request), _NOWHERE)
    way = (words.format(agent.name), reverse(name, args=[agent.pk])) if agent else None
    return _page(request, 404, "Not found", text if agent else _NOWHERE[0], framed=True, way=way)


def too_many(request: HttpRequest) -> HttpResponseBase:
    response = _page(request, 429, "Too many tries", "Wait a minute, then try again.")
    response["Retry-After"] = "60"
    return response


def server_error(request: HttpRequest) -> HttpResponseBase:
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and (isinstance(error, OperationalError | InterfaceError) or _passes(error)):
        # Django turns exceptions into answers before middleware sees them, so this is the place for 503
        return unavailable(request, error)
    if isinstance(error, UnicodeEncodeError) or (isinstance(error, DataError) and "NUL" in str(error)):
        # text that Postgres cannot store, in a place that no form checks, such as a cookie
        return bad_request(request)
    if isinstance(error, ProgrammingError) and lacks_tables(error):
        return _page(request, 503, "Tables missing", "This agent's tables are missing, so there is nothing to read.")
    return _page(request, 500, "Something went wrong", "The error was logged. Nothing was changed by this request.")


def _passes(error: Exception) -> bool:
    """Tell whether the request may succeed later: after a switch to another server, or on another connection."""
    return is_stale(error) or isinstance(error.__cause__, ReadOnlySqlTransaction)


def unreadable(request: HttpRequest, error: Exception) -> HttpResponseBase:
    log.error("a secret cannot be read: %s", error)
    lost = running.command("remove_factors EMAIL")
    text = f"{error} If the key is lost, they run {lost}, which lets you in without the factors that cannot be read."
    return _page(request, 503, "Your second factor cannot be checked", text)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    # Django's sentence holds what was sent
    why = "form of another site" if reason.startswith(("Origin", "Referer")) else "form of another session"
    who = actor_of(cast(AppRequest, request)) if request.user.is_authenticated else visitor(request)
    refused(who, "refusal.page", object=request.path, why=why)
    return _page(
        request,
        403,
        "Form expired",
        "This form was opened in another session. Go back, reload the page and send it again.",
    )


def unavailable(request: HttpRequest, error: Exception) -> HttpResponseBase:
    if isinstance(error, NotWritten):
        return not_logged(request, error)
    if isinstance(error, NotNoted):
        return not_noted(request, error)
    log.error("database unavailable: %s", str(error).splitlines()[0] if str(error) else type(error).__name__)
    response = _page(
        request,
        503,
        "Database unavailable",
        "The studio cannot reach its database. It tries again by itself; reload in a moment.",
    )
    response["Retry-After"] = "5"
    return response


def not_noted(request: HttpRequest, error: NotNoted) -> HttpResponseBase:
    log.error("%s: %s", error, error.__cause__)
    response = _page(
        request,
        503,
        "Deleted, but not noted",
        "What you deleted is gone. That could not be noted outside of the database, so a backup that is restored might"
        " bring it back. Whoever runs the studio finds the cause in its log.",
    )
    response["Retry-After"] = "5"
    return response


def not_logged(request: HttpRequest, error: NotWritten) -> HttpResponseBase:
    cause = str(error.__cause__).splitlines() or [type(error.__cause__).__name__]
    log.error("%s: %s", error, cause[0])
    response = _page(
        request,
        503,
        "Nothing was changed",
        "The audit log cannot be written, and without it nothing is changed or shown. Try again in a moment;"
        " if it stays, whoever runs the studio finds the cause in its log.",
    )
    response["Retry-After"] = "5"
    return response
