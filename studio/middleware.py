"""Middleware: request ids, security headers, client addresses, sessions, and the schema of the agent in the path."""

import re
import uuid
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware, get_user
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.http.request import split_domain_port
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.functional import SimpleLazyObject
from django_htmx.http import HttpResponseClientRedirect, retarget

from studio import policies
from studio.api import problems
from studio.ids import schema_name
from studio.people.sessions import SessionStore
from studio.postgres.backend.base import DatabaseWrapper
from studio.proxies import client_address, plain_address
from studio.web import AppRequest, is_boosted, name_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]
HEALTH: Final = "/health"
HEALTH_FACES: Final = frozenset({HEALTH, f"{HEALTH}/live", f"{HEALTH}/ready"})
_API = re.compile(r"/+api(/|$)", re.IGNORECASE)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an id for the audit log and the answer: a trusted proxy's if it is well formed, else a new one.

    Anybody else could give many requests one id, or theirs that of somebody's.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXIES > 0 else ""
        ours = cast(AppRequest, request)
        ours.id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        response = get_response(request)
        response["X-Request-ID"] = ours.id
        return response

    return middleware


def no_body_for_head(get_response: GetResponse) -> GetResponse:
    """Take the body from an answer to HEAD, as the web server would warn of each; its length stays in the headers."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.method != "HEAD":
            return response
        if isinstance(response, StreamingHttpResponse):
            response.streaming_content = ()
        elif isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
            response.content = b""
        return response

    return middleware


def headers(get_response: GetResponse) -> GetResponse:
    """Set the security headers on every answer, including those that other middleware makes by itself."""
    always = {
        "Content-Security-Policy": policies.CONTENT_SECURITY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": policies.PERMISSIONS,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    hsts = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        for name, value in always.items():
            response.headers.setdefault(name, value)
        if settings.SECURE_HSTS_SECONDS and request.is_secure():
            response.headers.setdefault("Strict-Transport-Security", hsts)
        if not request.path_info.startswith(settings.STATIC_URL):
            _say_who_keeps(request, response)
        return response

    return middleware


def _say_who_keeps(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the browser alone keep whole pages of `policies.KEPT`, and ask before it uses one; nothing else is kept."""
    if name_of(request) in policies.SWAPPED:
        patch_vary_headers(response, ["HX-Request"])
    is_whole = request.method in ("GET", "HEAD") and "HX-Request" not in request.headers
    if is_whole and response.status_code == 200 and name_of(request) in policies.KEPT:
        patch_cache_control(response, private=True, no_cache=True)
    else:
        patch_cache_control(response, no_store=True)


class BoostMiddleware:
    """Answers boosted links: the `main` of some pages takes the place of the one there, all others load as a whole."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        # by this header pages.js knows a page of ours, errors included
        if is_boosted(request) and isinstance(response, HttpResponse):
            retarget(response, "#main")
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if is_boosted(request) and name_of(request) not in policies.SWAPPED:
            return HttpResponseClientRedirect(request.get_full_path())
        return None


def no_open_keys(get_response: GetResponse) -> GetResponse:
    """Refuse calls of the API without HTTPS where that is on: after a redirect nobody would notice the open key."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        is_call = _API.match(request.path_info) or "x-api-key" in request.headers
        if is_call and settings.SECURE_SSL_REDIRECT and not request.is_secure():
            return problems.answer(403, problems.OPENLY)
        return get_response(request)

    return middleware


def behind_proxies(get_response: GetResponse) -> GetResponse:
    """Set REMOTE_ADDR and the host to what they were before the proxies in front of the studio."""
    netloc = urlsplit(settings.PUBLIC_URL).netloc
    host, _ = split_domain_port(netloc)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        meta, proxies = request.META, settings.TRUSTED_PROXIES
        direct = meta.get("REMOTE_ADDR", "")
        forwarded = request.headers.get("X-Forwarded-For", "")
        meta["REMOTE_ADDR"] = client_address(forwarded, proxies) or plain_address(direct) or direct
        if request.path_info in HEALTH_FACES:
            # probes ask by an address that nobody can list beforehand; neither that nor who asks changes the answer
            meta["HTTP_HOST"] = "localhost"
            meta.pop("HTTP_COOKIE", None)
        elif proxies > 0 and meta.get("HTTP_HOST", "").lower() == host:
            # many proxies leave out the port, which redirects and OpenID Connect need
            meta["HTTP_HOST"] = netloc
        return get_response(request)

    return middleware


def keep_session(get_response: GetResponse) -> GetResponse:
    """Put off the idle end of a session that a request has used."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        session = cast(SessionStore, request.session)
        # a modified session is saved by Django, with its new end
        if session.accessed and not session.modified and session.session_key:
            session.keep()
        return response

    return middleware


class PersonMiddleware(AuthenticationMiddleware):
    """Sets the person of a request: the one who was read with the session, else whom Django finds."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        session = cast(SessionStore, request.session)
        request.user = cast(Any, SimpleLazyObject(lambda: session.signed_in() or get_user(request)))


class AgentMiddleware:
    """Sets the search_path to the schema of the agent in the path, and back to public afterwards.

    The schema's name follows from the id, so no query is needed. Whether the agent exists and may be seen
    is checked by the view's first call, `get_agent`.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # whatever used this thread's connection before may have left it in a schema
        self._to_public()
        try:
            return self.get_response(request)
        finally:
            self._to_public()

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if "agent_id" in kwargs:
            self._connection().set_schema(schema_name(kwargs["agent_id"]))

    def _to_public(self) -> None:
        connection = self._connection()
        if connection.schema_name != "public":
            connection.set_schema_to_public()

    def _connection(self) -> DatabaseWrapper:
        return cast(DatabaseWrapper, connections["default"])
