"""Addresses of the API below `api/`, without trailing slashes."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from studio.api import docs
from studio.api.main import api
from studio.api.problems import NOTHING_HERE, Problem, answer, of_exception
from studio.web import get_only

app_name = "ninja"

View = Callable[..., HttpResponseBase]


def _in_json(view: View) -> View:
    """Wrap a view of the API: no sign-in page, no CSRF check, HEAD as GET, and every error as JSON."""

    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        method = request.method
        # ninja knows no HEAD; the web server leaves out the body
        request.method = "GET" if method == "HEAD" else method
        try:
            response = view(request, **kwargs)
        except Exception as error:
            response = of_exception(request, error)
        finally:
            request.method = method
        if response.status_code == 405:
            allowed = response["Allow"].split(", ")
            allowed += ["HEAD"] if "GET" in allowed and "HEAD" not in allowed else []
            response = answer(405, f"{method} is not possible here.", {"Allow": ", ".join(allowed)})
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    # browsers send no key by themselves, so another site cannot forge a call
    return login_not_required(csrf_exempt(wrapped))


def _nothing(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
    raise Problem(404, NOTHING_HERE)


def _open(pattern: Any) -> Any:
    if pattern.name == "openapi-json":
        pattern.callback = get_only(pattern.callback)
    pattern.callback = _in_json(pattern.callback)
    return pattern


_pages = [path("", docs.home), path("docs", docs.page, name="docs")]
# last, so that an unknown address gets a 404 in JSON and not the page for browsers
_rest = re_path("", _nothing)
urlpatterns = [_open(pattern) for pattern in (*_pages, *api.urls[0], _rest)]
