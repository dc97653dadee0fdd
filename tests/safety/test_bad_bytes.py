"""Bad bytes, in whatever is sent: a 400, a 404 or a page, and never an error of ours."""

import json
from typing import Any
from urllib.parse import unquote

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client

from studio.models import Agent
from tests.calls import Api
from tests.rounds import rounds
from tests.safety.routes import Route, routes, sample
from tests.world import person, write_thread

ALL = [
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
# one of each sort: nothing, no UTF-8, a way out, a name of ours, a long one, no number
SOME = ["%00", "%FF%FE", "..%2F..", "~", "a" * 5000, "9" * 400]
BAD = rounds(SOME, ALL)


QUERY = ["q", "after", "before", "cursor", "sort", "user", "status", "since", "until", "errors", "shared", "all"]
QUERY += ["version", "below", "kind", "person", "oldest", "event", "next"]


FIELDS = ["id", "all", "expect", "seal", "back", "confirm", "reason", "email", "role", "reach", "agents", "agent"]
FIELDS += ["scopes", "days", "code", "credential", "num_history_runs", "max_tool_calls_from_history", "base", "version"]
FIELDS += ["session_storage", "name", "agent_id", "framework", "status", "next"]
API_QUERY = ["q", "sort", "cursor", "limit", "include", "user_id", "status", "since", "until", "errors", "order"]
PAGES = [route for route in routes() if not route.route.startswith("api")]
API = [route for route in routes() if route.route.startswith("api/")]


def filled(route: Route, value: str, **known: str) -> str:
    """The path of a route with `value` wherever something is to be filled in."""
    return route.path(**{**dict.fromkeys(sample(), value), "agent_id": "agt-ada", **known})


@pytest.mark.attack
@pytest.mark.parametrize("bad", BAD)
class TestBadBytes:
    """Many addresses a case: what is asserted is that none of them ends as an error of ours."""

    def check(self, answer: Any, what: str) -> None:
        assert answer.status_code < 500, what

    def test_in_a_path(self, page: Client, ada: Agent, bad: str) -> None:
        for path in ["/%s", "/%s/", "/agents/%s/", "/agents/%s/memory/"]:
            self.check(page.get(path.replace("%s", bad)), path)
        for route in PAGES:
            self.check(page.get(filled(route, bad)), route.route)

    def test_in_a_query(self, page: Client, ada: Agent, bad: str) -> None:
        together = "&".join(f"{name}={bad}" for name in QUERY)
        for number, route in enumerate(PAGES):
            # one that is refused hides the others: each alone, in a short round each on some pages
            alone = [f"{name}={bad}" for name in rounds(QUERY[number % 8 :: 8], QUERY[number % 3 :: 3])]
            for query in alone if "%00" in bad else [together, f"{bad}={bad}"]:
                self.check(page.get(f"{filled(route, 'x')}?{query}"), f"{route.route}?{query}")

    def test_in_a_form(self, page: Client, ada: Agent, bad: str) -> None:
        names = ("name", "agent_id", "icon", "framework", "status", "instructions", "confirm", "login", "password")
        body = "&".join(f"{name}={bad}" for name in (*names, "new_password1", "new_password2", "version", "next"))
        for route in ("/agents/new/", "/agents/agt-ada/edit/", "/agents/agt-ada/remove/now/", "/account/password/"):
            answer = page.post(route, body, content_type="application/x-www-form-urlencoded")
            self.check(answer, route)
        self.check(Client().post("/sign-in/", body, content_type="application/x-www-form-urlencoded"), "/sign-in/")
        assert Agent.objects.filter(pk="agt-ada").exists()

    def test_in_every_form(self, page: Client, ada: Agent, bad: str) -> None:
        body = "&".join(f"{name}={bad}" for name in FIELDS)
        world = {"user_id": str(person("viewer").pk), "session_id": "s-1", "run_id": "r"}
        # a form of which that one is sent again asks for a password, and is read no further
        again = f"confirm-method={bad}&confirm-password={bad}&confirm-code={bad}"
        self.check(page.post("/keys/new/", again, content_type="application/x-www-form-urlencoded"), "confirm")
        for route in PAGES:
            path = filled(route, "x", **world, pk="1", version="1")
            with transaction.atomic():
                self.check(page.post(path, body, content_type="application/x-www-form-urlencoded"), path)
                transaction.set_rollback(True)

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

    def test_in_the_api(self, ada: Agent, bad: str) -> None:
        """In each part of a path, each parameter, each header and each field, with a key for everything."""
        api = Api.with_key()
        write_thread(ada, "s-1")
        text = unquote(bad, errors="surrogatepass") if "%FF" not in bad else bad
        body = json.dumps(dict.fromkeys(("id", "name", "num_history_runs", "framework", "session_storage"), text))
        for route in API:
            path = route.route.removeprefix("api/")
            self.check(api.raw("GET", filled(route, bad).removeprefix("/api/")), path)
            self.check(api.raw("GET", filled(route, "x", agent_id=bad).removeprefix("/api/")), path)
            here = route.path(**sample()).removeprefix("/api/")
            for name in API_QUERY:
                self.check(api.raw("GET", f"{here}?{name}={bad}"), f"{path}?{name}")
            for method in ("POST", "PATCH", "PUT"):
                self.check(api.raw(method, here, body), f"{method} {path}")
        for name in ("x-api-key", "if-match", "x-request-id", "x-agent-version", "accept", "content-type"):
            for method in ("GET", "PATCH"):
                self.check(api.client.generic(method, "/api/agents/agt-ada/memory", body, headers={name: bad}), name)


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
