"""Errors of the API as JSON, `{"error", "detail"}`, whatever was raised."""

import logging
from typing import Any, Final

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, NotSupportedError, OperationalError, ProgrammingError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from studio.agents.provision import lacks_tables
from studio.audit import refusals
from studio.audit.record import NoLonger, NotWritten
from studio.audit.tombstones import NotNoted
from studio.keys import service as keys
from studio.models import ApiKey
from studio.postgres.backend.base import is_stale

log = logging.getLogger("studio.api")

WORDS: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    422: "invalid",
    429: "too_many_requests",
    500: "server_error",
    501: "not_supported",
    503: "unavailable",
}
NOTHING_HERE: Final = "There is nothing at this address, or your key does not reach it."
OPENLY: Final = (
    "Call this by https://. A key that was sent without it could be read on the way: revoke it and make another one."
)
NO_KEY: Final = "Send a valid API key in the header x-api-key."
NOT_NOTED: Final = (
    "What you deleted is gone. That could not be noted outside of the database, so a backup that is restored might"
    " bring it back. Whoever runs the studio finds the cause in its log."
)
UNREADABLE: Final = "The request holds something that cannot be read."


class Problem(Exception):
    """An error answer; keywords are headers, with `_` for `-`."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(status: int, detail: str, headers: dict[str, str] | None = None) -> HttpResponse:
    """Write a problem as JSON."""
    response = JsonResponse({"error": WORDS.get(status, "error"), "detail": detail}, status=status, headers=headers)
    if status == 503:
        response.headers.setdefault("Retry-After", "5")
    return response


def of_exception(request: HttpRequest, error: Any) -> HttpResponse:
    """Answer an exception; an unexpected one is logged, and the answer says nothing about it."""
    match error:
        case Problem():
            return answer(error.status, error.detail, error.headers)
        case ValidationError():
            return answer(422, "; ".join(_complaint(complaint) for complaint in error.errors))
        case NoLonger():
            _log_no_longer(request)
            return answer(401, NO_KEY, {"WWW-Authenticate": "ApiKey"})
        case Http404():
            return answer(404, NOTHING_HERE)
        case HttpError():
            return answer(error.status_code, f"{error}.".replace("..", "."))
        case RequestDataTooBig():
            return answer(413, "The request is too large.")
        case BadRequest() | SuspiciousOperation() | UnreadablePostError() | UnicodeError() | DataError():
            return answer(400, UNREADABLE)
        case NotWritten():
            log.error("%s: %s", error, type(error.__cause__).__name__)
            return answer(503, "The audit log cannot be written, so nothing was changed or handed out.")
        case NotNoted():
            log.error("%s: %s", error, error.__cause__)
            return answer(503, NOT_NOTED)
        case OperationalError() | InterfaceError():
            log.error("database unavailable: %s", type(error.__cause__ or error).__name__)
            return answer(503, "The studio cannot reach its database. Try again in a moment.")
        case NotSupportedError() if is_stale(error):
            log.error("a table has changed: %s", request.path)
            return answer(503, "A table of the studio has just changed. Try again.")
        case ProgrammingError() if lacks_tables(error):
            log.error("schema not provisioned: %s", request.path)
            return answer(503, "This agent's tables are missing, so there is nothing to read.")
    log.error("unexpected error: %s %s", request.method, request.path, exc_info=error)
    return answer(500, "Something went wrong. The error was logged.")


def register(api: NinjaAPI) -> None:
    """Use `of_exception` for the whole API."""
    # ninja has handlers of its own for these, which would win over one for Exception
    for kind in (Exception, Problem, ValidationError, Http404, HttpError):
        api.add_exception_handler(kind, of_exception)


def _log_no_longer(request: HttpRequest) -> None:
    """Log that a key was ended, or lost a right, while it was at work."""
    key: ApiKey | None = getattr(request, "auth", None)
    object = keys.label(key) if key else ""
    refusals.refused(refusals.visitor(request), "refusal.key", object=object, why="no longer allowed")


def _complaint(complaint: dict[str, Any]) -> str:
    """Write a validation error as text: the field, then what is wrong with it."""
    place, *names = complaint["loc"]
    # the first name in a body is that of the view's argument
    if place == "body":
        names = names[1:]
    return f"{'.'.join(map(str, names)) or place}: {complaint['msg'].removeprefix('Value error, ')}"
