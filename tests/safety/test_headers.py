"""Headers and cookies of every answer, in the production profile, errors included."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, override_settings

from studio import policies
from studio.agents import listing
from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent, User
from studio.notices import StrictCookieStorage
from studio.serve.worker import refusal
from tests.safety.observatory import points
from tests.safety.routes import Route, routes, sample
from tests.world import HTMX, signed_in, write_thread

ROOT = Path(__file__).resolve().parents[2]
ENOUGH = 130
PROFILE = ("SESSION_COOKIE", "CSRF_", "SECURE_", "PERMISSIONS_", "ALLOWED_HOSTS", "X_FRAME")


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings that an installation behind https://testserver has."""
    monkeypatch.setenv("PUBLIC_URL", "https://testserver")
    found = runpy.run_path(str(ROOT / "studio" / "settings.py"))
    profile = {name: value for name, value in found.items() if name.startswith(PROFILE)}
    assert profile["SESSION_COOKIE_NAME"] == "__Host-session"
    monkeypatch.setattr(StrictCookieStorage, "cookie_name", found["MESSAGE_COOKIE_NAME"])
    with override_settings(**profile):
        yield


# Pages that the browser alone may keep for Back, and has to ask about first. Nothing else is kept anywhere: not what
# shows or takes a secret (connection, keys, links, invitations, confirmations, passwords, factors), no transcript,
# run or file, no answer to a form or to htmx, no redirect, no error, and nothing of the API.
KEPT = {
    *("agents/", "agents/new/", "agents/<agent:agent_id>/edit/", "agents/<agent:agent_id>/remove/"),
    *(f"agents/<agent:agent_id>/{name}/" for name in ("memory", "threads", "users", "activity")),
    "agents/<agent:agent_id>/users/<any:user_id>/",
    *("audit/", "people/", "people/<int:user_id>/", "account/", "account/sessions/"),
}


def enough(response: Any, *, kept: bool = False) -> None:
    """Every answer: at least 130 points, nothing unsafe, and not kept anywhere unless it may be."""
    total, given = points(response)
    assert total >= ENOUGH, (total, given, response.status_code)
    headers = response.headers
    assert headers["Content-Security-Policy"] == policies.CONTENT_SECURITY
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    how = {part.strip() for part in headers["Cache-Control"].split(",")}
    assert how == {"private", "no-cache"} if kept else "no-store" in how
    assert "Server" not in headers
    for cookie in response.cookies.values():
        assert cookie.key.startswith("__Host-"), cookie.key
        assert cookie["secure"]
        if cookie["max-age"] == 0:
            continue  # it is taken back
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


def ids_of(route: Route) -> str:
    return f"{route.route or 'home'}#{route.name}"


@pytest.mark.parametrize("route", routes(), ids=ids_of)
def test_every_route_has_them(route: Route, admin: User, ada: Agent) -> None:
    write_thread(ada, "s-1")
    values = sample()
    if route.route.startswith("people/"):
        values["user_id"] = str(admin.pk)
    kept: list[str] = []
    browsers: list[Callable[[], Client]] = [Client, lambda: signed_in(admin)]
    for browser in browsers:
        for method in ("get", "post", "put"):
            client = browser()
            client.raise_request_exception = False
            answer = getattr(client, method)(route.path(**values), secure=True)
            is_kept = method == "get" and answer.status_code == 200 and route.route in KEPT
            enough(answer, kept=is_kept)
            if is_kept:
                kept.append(route.route)
            enough(client.get(route.path(**values), secure=True, headers=HTMX))
    # whoever may open such a page does
    assert bool(kept) is (route.route in KEPT)


@pytest.mark.parametrize("path", ["agents/list", "agents/agt-ada", "agents/agt-ada/threads", "nothing", "openapi.json"])
def test_the_api_has_them(ada: Agent, path: str) -> None:
    _, key = keys.create(Actor.system(), name="k", scopes=["admin"])
    enough(Client().get(f"/api/{path}", secure=True, headers={"x-api-key": key}))


class TestErrors:
    @pytest.fixture
    def fails(self, monkeypatch: pytest.MonkeyPatch, admin: User) -> Callable[[Exception], Any]:
        """Open the list of agents, which then raises."""

        def answer(error: Exception) -> Any:
            def fail(*args: Any, **kwargs: Any) -> None:
                raise error

            monkeypatch.setattr(listing, "page", fail)
            client = signed_in(admin)
            client.raise_request_exception = False
            return client.get("/agents/", secure=True)

        return answer

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (BadRequest(), 400),
            (PermissionDenied(), 403),
            (RuntimeError("boom"), 500),
            (OperationalError("gone"), 503),
        ],
    )
    def test_pages_that_fail(self, fails: Callable[[Exception], Any], error: Exception, status: int) -> None:
        answer = fails(error)
        assert answer.status_code == status
        enough(answer)

    def test_addresses_that_are_not_there(self, page: Client) -> None:
        for path in ("/no/such/page", "/agents/agt-none/memory/", "/agents/%00/", "/static/none.css", "/api/none"):
            answer = page.get(path, secure=True)
            assert answer.status_code in (400, 404)
            if path.startswith("/static/"):
                # kept by browsers like every static file
                assert points(answer)[0] >= ENOUGH
            else:
                enough(answer)

    def test_a_foreign_host(self, db: None) -> None:
        answer = Client().get("/sign-in/", secure=True, headers={"host": "evil.example"})
        assert answer.status_code == 400
        enough(answer)

    def test_a_form_without_its_token(self, admin: User) -> None:
        answer = Client(enforce_csrf_checks=True).post("/sign-in/", {}, secure=True)
        assert answer.status_code == 403
        enough(answer)

    def test_too_many_tries(self, db: None) -> None:
        client = Client()
        answer = client.post("/sign-in/", {}, secure=True)
        for _ in range(40):
            answer = client.post("/sign-in/", {}, secure=True)
        assert answer.status_code == 429
        enough(answer)

    @pytest.mark.parametrize("status", [400, 414, 431, 500])
    def test_what_never_becomes_a_request(self, status: int) -> None:
        """The web server's own answer, which no view and no middleware has seen."""
        first, _, rest = refusal(HTTPStatus(status)).partition(b"\r\n")
        head, _, text = rest.partition(b"\r\n\r\n")
        assert first == f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        assert headers["Content-Length"] == str(len(text))
        enough(HttpResponse(text, status=status, headers=headers))


class TestHttps:
    def test_plain_http_is_sent_to_https(self, db: None) -> None:
        answer = Client().get("/agents/?q=x")
        assert (answer.status_code, answer.headers["location"]) == (301, "https://testserver/agents/?q=x")
        assert "Strict-Transport-Security" not in answer.headers

    def test_health_is_answered_without_it(self, db: None) -> None:
        """A monitor beside the studio speaks no TLS; nothing else is told to it."""
        answer = Client().get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "up"})
        assert [Client().get(f"/health/{face}").status_code for face in ("live", "ready")] == [200, 200]
        for path in ("/health/", "/healthy", "/health/live/", "/health/x", "/agents/health", "/sign-in/"):
            assert Client().get(path).status_code == 301

    def test_cookies_belong_to_this_host_alone(self, admin: User) -> None:
        client = Client()
        client.get("/sign-in/", secure=True)
        form = {"login": admin.email, "password": "correct horse battery"}
        answer = client.post("/sign-in/", form, secure=True)
        enough(answer)
        assert set(client.cookies) == {"__Host-session", "__Host-csrf"}
        for cookie in client.cookies.values():
            assert (cookie["path"], cookie["domain"]) == ("/", "")

    def test_the_production_profile_passes_djangos_own_checks(self) -> None:
        env = {
            **os.environ,
            "PUBLIC_URL": "https://studio.example.com",
            "DEBUG": "0",
            "SECRET_KEY": "only-for-this-test-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG",
            "DATABASE_URL": "postgresql://studio:none@127.0.0.1:9/studio",
        }
        command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "System check identified no issues (0 silenced)." in done.stdout + done.stderr


def test_the_points_are_counted_as_published() -> None:
    """The counting itself: an answer without headers, and the best one."""

    class Answer:
        headers: dict[str, str] = {}  # noqa: RUF012
        cookies: Any = {}  # noqa: RUF012
        streaming = True

    bare = Answer()
    assert points(bare)[0] == 100 - 25 - 20 - 5 - 20
    bare.headers = {
        "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
        "Strict-Transport-Security": "max-age=31536000",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert points(bare)[0] == 130
    for worse in ("script-src 'unsafe-inline'", "script-src data:", "object-src *", "default-src *"):
        bare.headers["Content-Security-Policy"] = f"{worse}; frame-ancestors 'none'"
        assert points(bare)[1]["csp"] == -20
