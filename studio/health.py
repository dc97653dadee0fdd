"""The addresses that load balancers and monitors ask.

`/health/live`: the process answers. `/health`: the studio can serve, which takes a write. `/health/ready`: it can, and
there is room to go on.
"""

from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from psycopg import errors

from studio import disk
from studio.postgres.backend.base import public_cursor
from studio.web import get_only

NO_TABLES: Final = "Tables of the studio are missing."
_WRITE: Final = "update public.studio_readiness set at = now()"
# Of what Postgres says the first that fits, by the kind of error, or by a word of one that has none because it was
# refused a connection. The rest of its words may name hosts, roles and files.
_CAUSES: Final = (
    (errors.ConnectionTimeout, "timeout expired", "The database does not answer."),
    (errors.DiskFull, "No space left on device", "The disk of the database is full."),
    (errors.ReadOnlySqlTransaction, "read-only", "The database is read-only."),
    (errors.TooManyConnections, "too many clients", "The database has no connection free."),
    (errors.TooManyConnections, "remaining connection slots", "The database has no connection free."),
    (errors.OutOfMemory, "out of memory", "The database is out of memory, or of room for locks."),
    (errors.QueryCanceled | errors.LockNotAvailable, "canceling statement", "The database is too slow."),
    (errors.UndefinedTable, "does not exist", NO_TABLES),
    (errors.InsufficientPrivilege, "permission denied", "The studio may not write to its tables."),
    (errors.AdminShutdown | errors.CannotConnectNow, "the database system is", "The database is starting or stopping."),
)
_AWAY: Final = "The database cannot be reached."


@get_only
@never_cache
@login_not_required
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 and ask nobody."""
    return JsonResponse({"status": "ok"})


@get_only
@never_cache
@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the studio can write to its database in time, else 503."""
    return _answer(is_up=not _why_not())


@get_only
@never_cache
@login_not_required
def ready(request: HttpRequest) -> JsonResponse:
    """Answer as `health` does, and 503 too while the disk is nearly full; say why. Anybody may ask, so no secret."""
    why_not = _why_not()
    return _answer(is_up=not why_not, why=why_not or disk.warning())


def _answer(*, is_up: bool, why: str = "") -> JsonResponse:
    said = {"database": "up" if is_up else "down"} | ({"why": why} if why else {})
    if why or not is_up:
        return JsonResponse({"status": "unavailable", **said}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"status": "ok", **said})


def _why_not() -> str:
    """Write a row; return in a few words why that failed."""
    try:
        with public_cursor() as cursor:
            cursor.execute(_WRITE)
            return "" if cursor.rowcount == 1 else NO_TABLES
    except Error as error:
        return next((said for kind, word, said in _CAUSES if _fits(error, kind, word)), _AWAY)


def _fits(error: Error, kind: Any, word: str) -> bool:
    return isinstance(error.__cause__, kind) or word in str(error)
