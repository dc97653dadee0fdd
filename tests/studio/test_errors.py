"""Error pages."""

import re
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import InterfaceError, OperationalError, connection
from django.forms.models import model_to_dict
from django.test import Client, RequestFactory

from studio import errors
from studio.agents import listing
from studio.agents.provision import EDITABLE
from studio.models import Agent, User
from tests.reading import links, text
from tests.world import fails, person, signed_in


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
        answer = signed_in(person("viewer")).get("/agents/new/")
        assert answer.status_code == 403
        assert "Your role does not include this." in text(answer)

    def test_an_agent_that_may_not_be_seen_looks_like_none(self, db: None, ada: Agent) -> None:
        stranger = signed_in(User.objects.create_user("guest@example.com"))
        hidden, missing = stranger.get("/agents/agt-ada/edit/"), stranger.get("/agents/agt-nobody/edit/")
        assert (hidden.status_code, missing.status_code) == (404, 404)
        assert re.sub(r"request \w+", "", text(hidden)) == re.sub(r"request \w+", "", text(missing))

    def test_they_name_the_request(self, db: None, settings: Any) -> None:
        settings.TRUSTED_PROXIES = 1
        answer = Client().get("/no/such/page", headers={"x-request-id": "abc-123"})
        assert "request abc-123" in text(answer)
        assert answer.headers["x-request-id"] == "abc-123"

    def test_an_error_of_ours_tells_no_secrets(self, page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "page", fails(RuntimeError("secret detail")))
        page.raise_request_exception = False
        answer = page.get("/agents/")
        assert answer.status_code == 500
        assert "secret detail" not in answer.content.decode()

    @pytest.mark.parametrize("view", ["bad_request", "too_many", "server_error"])
    def test_they_need_no_database(self, view: str) -> None:
        # no database fixture: a query would fail here
        answer = getattr(errors, view)(RequestFactory().get("/"))
        assert answer.status_code in (400, 429, 500)
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
        assert Client(headers={"host": "evil.example"}).get("/sign-in/").status_code == 400


class TestWhatIsGone:
    @pytest.mark.parametrize(
        ("address", "said", "leads_to"),
        [
            ("threads/gone/", "This thread was deleted, or there never was one", "threads/"),
            ("threads/gone/export/", "This thread was deleted, or there never was one", "threads/"),
            ("threads/gone/runs/r1/", "This thread was deleted, or there never was one", "threads/"),
            ("users/gone/", "No thread of this user is here, or not any more.", "users/"),
            ("delete-threads/x/", "There is nothing at this address", ""),
        ],
    )
    def test_it_leads_on(self, page: Client, ada: Agent, address: str, said: str, leads_to: str) -> None:
        answer = page.get(f"/agents/agt-ada/{address}")
        assert answer.status_code == 404
        assert said in text(answer)
        assert (f"/agents/agt-ada/{leads_to}" in links(answer)) is bool(leads_to)

    def test_a_link_that_htmx_follows_leads_on_too(self, page: Client, ada: Agent) -> None:
        answer = page.get("/agents/agt-ada/threads/gone/", headers={"HX-Request": "true", "HX-Boosted": "true"})
        assert answer.status_code == 404
        assert "/agents/agt-ada/threads/" in links(answer)

    def test_a_stranger_is_not_led_to_the_agent(self, db: None, ada: Agent) -> None:
        answer = signed_in(User.objects.create_user("guest@example.com")).get("/agents/agt-ada/threads/gone/")
        assert answer.status_code == 404
        assert links(answer, "agt-ada") == []
        assert "Ada" not in text(answer)


class TestWhileTheDatabaseIsAway:
    @pytest.fixture(params=[OperationalError, InterfaceError])
    def _away(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise request.param("connection refused by 10.0.0.1")

        monkeypatch.setattr(connection, "ensure_connection", fail)

    @pytest.mark.usefixtures("_away")
    def test_pages_answer_503_and_when_to_come_back(self) -> None:
        away = client()
        away.cookies["session"] = "a" * 32
        answer = away.get("/agents/")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "cannot reach its database" in text(answer)
        assert "10.0.0.1" not in answer.content.decode()

    def test_a_server_that_became_read_only_is_away(self, page: Client, ada: Agent) -> None:
        """As after a switch to a replica: what cannot be written now can be later."""
        page.raise_request_exception = False
        with connection.cursor() as cursor:
            cursor.execute("set transaction read only")
        form = {**model_to_dict(ada, EDITABLE), "name": "New"}
        answer = page.post("/agents/agt-ada/edit/", form)
        assert answer.status_code == 503


@pytest.mark.parametrize("address", ["/health", "/sign-in/", "/api/openapi.json", "/no/such/page"])
def test_an_answer_to_head_has_the_length_of_the_body_alone(db: None, address: str) -> None:
    told: dict[str, str] = {}
    answer = WSGIHandler()(RequestFactory().head(address).environ, lambda _, headers: told.update(headers))
    assert b"".join(answer) == b""
    assert int(told["Content-Length"]) > 0
