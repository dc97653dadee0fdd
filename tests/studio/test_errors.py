"""Error pages, and that bad bytes never end in one of ours being at fault."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from studio.models import Agent, User
from studio.services import agent_list
from studio.views import errors
from tests.studio.reading import links, text
from tests.world import signed_in


def client() -> Client:
    return Client(raise_request_exception=False)


class TestThePages:
    def test_unknown_addresses_are_not_found(self, db: None) -> None:
        answer = Client().get("/no/such/page")
        assert answer.status_code == 404
        assert "Not found There is nothing at this address" in text(answer)

    def test_who_is_signed_in_keeps_the_frame(self, page: Client, ada: Agent) -> None:
        answer = page.get("/no/such/page")
        assert answer.status_code == 404
        assert "Ada's agent" in text(answer)
        assert "/agents/" in links(answer)

    def test_a_fragment_gets_no_frame(self, page: Client, ada: Agent) -> None:
        assert b'class="side"' not in page.get("/no/such/page", headers={"hx-request": "true"}).content

    def test_what_a_role_may_not_do_is_forbidden(self, db: None) -> None:
        answer = signed_in(User.objects.get(email="viewer@example.com")).get("/agents/new/")
        assert answer.status_code == 403
        assert "Your role does not include this." in text(answer)

    def test_an_agent_that_may_not_be_seen_looks_like_none(self, db: None, ada: Agent) -> None:
        stranger = signed_in(User.objects.create_user("guest@example.com"))
        hidden, missing = stranger.get("/agents/agt-ada/edit/"), stranger.get("/agents/agt-nobody/edit/")
        assert (hidden.status_code, missing.status_code) == (404, 404)
        assert re.sub(r"request \w+", "", text(hidden)) == re.sub(r"request \w+", "", text(missing))

    def test_they_name_the_request(self, db: None) -> None:
        answer = Client().get("/no/such/page", headers={"x-request-id": "abc-123"})
        assert "request abc-123" in text(answer)
        assert answer.headers["x-request-id"] == "abc-123"

    def test_an_error_of_ours_tells_no_secrets(self, page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(agent_list, "page", fail)
        page.raise_request_exception = False
        answer = page.get("/agents/")
        assert answer.status_code == 500
        assert "secret detail" not in answer.content.decode()

    @pytest.mark.parametrize("view", ["bad_request", "too_many", "server_error", "csrf_failed"])
    def test_they_need_no_database(self, view: str) -> None:
        # no database fixture: a query would fail here
        answer = getattr(errors, view)(RequestFactory().get("/"))
        assert answer.status_code in (400, 403, 429, 500)
        assert b"<h1>" in answer.content

    def test_even_not_found_needs_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Gone:
            @property
            def is_authenticated(self) -> bool:
                raise OperationalError("gone")

        request = RequestFactory().get("/")
        request.user = Gone()  # type: ignore[assignment]
        assert errors.not_found(request).status_code == 404

    def test_a_wrong_host_is_refused(self, db: None) -> None:
        assert Client(headers={"host": "evil.example"}).get("/health").status_code == 400


class TestWhileTheDatabaseIsAway:
    @pytest.fixture(params=[OperationalError, InterfaceError])
    def _away(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise request.param("connection refused by 10.0.0.1")

        monkeypatch.setattr(connection, "cursor", fail)

    @pytest.mark.usefixtures("_away")
    def test_pages_answer_503_and_when_to_come_back(self) -> None:
        away = client()
        away.cookies["session"] = "a" * 32
        answer = away.get("/agents/")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "cannot reach its database" in text(answer)
        assert "10.0.0.1" not in answer.content.decode()

    @pytest.mark.usefixtures("_away")
    def test_health_says_so(self) -> None:
        answer = client().get("/health")
        assert answer.status_code == 503
        assert answer.json() == {"status": "unavailable", "database": "down"}


class TestHealth:
    def test_it_is_open_and_says_nothing_else(self, db: None) -> None:
        answer = Client().get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "up"})
        assert "no-store" in answer.headers["cache-control"]

    def test_it_begins_no_session(self, db: None) -> None:
        assert not Client().get("/health").cookies

    def test_it_is_for_reading_only(self, db: None) -> None:
        assert Client().head("/health").status_code == 200
        assert Client().post("/health").status_code == 405


BAD = [
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%FF%FE",
    "%0D%0A",
    "..%2F..",
    "%F0%9F%92%A5",
    "%E2%80%AE",
    "~",
    "~%25",
    "~" + "A" * 200,
    "a" * 5000,
    "%25%30%30",
    "' or 1=1",
    "%7B%7B7*7%7D%7D",
    "NaN",
    "-1",
    "9" * 400,
    "1e400",
]


QUERY = ["q", "after", "before", "cursor", "sort", "user", "status", "since", "until", "errors", "shared", "all"]
QUERY += ["version", "below", "kind", "person", "oldest", "event", "next"]


def routes() -> list[str]:
    """Every page of ours that opens with GET, with `%s` where something is to be filled in."""

    def walk(patterns: list[URLPattern | URLResolver], before: str = "/") -> list[str]:
        found = []
        for pattern in patterns:
            here = before + str(pattern.pattern)
            found += walk(pattern.url_patterns, here) if isinstance(pattern, URLResolver) else [here]
        return found

    pages = [route for route in walk(get_resolver().url_patterns) if not route.startswith("/api")]
    return [re.sub(r"<[^>]+>", "%s", route.replace("<agent:agent_id>", "agt-ada")) for route in pages]


@pytest.mark.parametrize("bad", BAD)
class TestBadBytes:
    """Many addresses a case: what is asserted is that none of them ends as an error of ours."""

    def check(self, answer: Any, what: str) -> None:
        assert answer.status_code < 500, what

    def test_in_a_path(self, page: Client, ada: Agent, bad: str) -> None:
        for route in ["/%s", "/%s/", "/agents/%s/", "/agents/%s/memory/", *routes()]:
            if "%s" in route:
                self.check(page.get(route.replace("%s", bad)), route)

    def test_in_a_query(self, page: Client, ada: Agent, bad: str) -> None:
        together = "&".join(f"{name}={bad}" for name in QUERY)
        # one that is refused hides the others
        queries = [f"{name}={bad}" for name in QUERY] if "%00" in bad else [together, f"{bad}={bad}"]
        for route in routes():
            for query in queries:
                self.check(page.get(f"{route.replace('%s', 'x')}?{query}"), f"{route}?{query}")

    def test_in_a_form(self, page: Client, ada: Agent, bad: str) -> None:
        names = ("name", "agent_id", "icon", "framework", "status", "instructions", "confirm", "login", "password")
        body = "&".join(f"{name}={bad}" for name in (*names, "new_password1", "new_password2", "version", "next"))
        for route in ("/agents/new/", "/agents/agt-ada/edit/", "/agents/agt-ada/remove/now/", "/account/password/"):
            answer = page.post(route, body, content_type="application/x-www-form-urlencoded")
            self.check(answer, route)
        self.check(Client().post("/sign-in/", body, content_type="application/x-www-form-urlencoded"), "/sign-in/")
        assert Agent.objects.filter(pk="agt-ada").exists()

    def test_in_a_cookie(self, db: None, bad: str) -> None:
        escaped = bad.replace("%00", "\\000").replace("%0D%0A", "\\015\\012")
        for name in ("session", "csrf", "messages"):
            stranger = Client(raise_request_exception=False, headers={"cookie": f'{name}="{escaped}aaaaaaaa"'})
            self.check(stranger.get("/agents/"), name)
            self.check(stranger.get("/sign-in/"), name)

    def test_in_a_header(self, page: Client, ada: Agent, bad: str) -> None:
        for name in ("hx-target", "hx-current-url", "x-request-id", "referer", "accept-language", "x-forwarded-for"):
            self.check(page.get("/agents/", headers={"hx-request": "true", name: bad}), name)
            self.check(Client().get("/sign-in/", headers={"hx-request": "true", name: bad}), name)


class TestBrokenBodies:
    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("multipart/form-data", b"no boundary"),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\x00\r\n\r\n"),
            ("application/x-www-form-urlencoded; charset=utf-7", b"name=x"),
            ("application/json", b"{"),
            ("", b"\xff"),
        ],
    )
    def test_they_are_the_senders_fault(self, page: Client, ada: Agent, kind: str, body: bytes) -> None:
        answer = page.post("/agents/new/", body, content_type=kind)
        assert 400 <= answer.status_code < 500

    def test_too_many_fields_are_refused(self, page: Client) -> None:
        body = "&".join(f"f{n}=" for n in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1))
        answer = page.post("/agents/new/", body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 400
