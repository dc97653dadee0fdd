"""The address that load balancers and monitors ask whether the studio can serve."""

from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from studio.postgres.backend.base import public_cursor
from studio.web import get_only


@get_only
@never_cache
@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers, else 503. Anybody may ask, so the answer says no more than that."""
    try:
        with public_cursor() as cursor:
            cursor.execute("select 1")
    except Error:
        return JsonResponse({"status": "unavailable", "database": "down"}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"status": "ok", "database": "up"})
