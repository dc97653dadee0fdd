"""Links that htmx follows: which pages come without their frame, and which are loaded as a whole."""

import re
from typing import Any

import pytest
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio.agents import listing
from studio.models import Agent, AuditEvent
from tests.reading import html, text
from tests.world import HTMX, fails, new_person, person, signed_in, write_thread

BOOSTED = {**HTMX, "HX-Boosted": "true"}
SWAPPED = ["/agents/", "/audit/", "/people/", "/account/", "/agents/new/"]
SWAPPED += [f"/agents/agt-ada/{name}/" for name in ("memory", "threads", "users", "activity", "edit", "remove")]
SWAPPED += ["/agents/agt-ada/threads/s-1/", "/agents/agt-ada/users/alice@example.com/"]
WHOLE = ["/keys/", "/keys/new/", "/people/invite/", "/account/password/", "/account/factors/app/add/", "/api/docs"]
WHOLE += ["/audit/export/", "/sign-out/", "/sign-in/"]
WHOLE += [f"/agents/agt-ada/{name}/" for name in ("connection", "connection/password", "threads/s-1/export")]
WHOLE += ["/agents/agt-ada/threads/s-1/runs/s-1-1/?part=t1"]


def title(page: str) -> str:
    found = re.search(r"<title>(.*?)</title>", page, re.S)
    return " ".join(found[1].split()) if found else ""


def main(page: str) -> str:
    """A page's `main`, without what is new in each answer."""
    found = page[page.index("<main") : page.index("</main>")]
    return re.sub(r'value="[A-Za-z0-9]{64}"|ticket=[^"]+|data-made-at="\d+"|data-ago>[^<]*', "", found)


@pytest.mark.parametrize("path", SWAPPED)
def test_a_page_comes_as_its_title_and_main_alone(page: Client, ada: Agent, path: str) -> None:
    write_thread(ada, "s-1")
    whole, part = page.get(path), page.get(path, headers=BOOSTED)
    assert (whole.status_code, part.status_code) == (200, 200)
    # the audit log has an event more by then
    if path not in ("/audit/", "/agents/agt-ada/activity/"):
        assert main(html(part)) == main(html(whole))
    assert title(html(part)) == title(html(whole))
    assert re.fullmatch(r"\s*<title>.*</title>\s*<main\s.*</main>\s*", html(part), re.S)
    assert part.headers["HX-Retarget"] == "#main"
    assert {"HX-Request"} <= {name.strip() for name in whole.headers["Vary"].split(",")}


@pytest.mark.parametrize("path", WHOLE)
def test_all_else_is_loaded_as_a_whole_and_its_view_is_not_run(page: Client, ada: Agent, path: str) -> None:
    write_thread(ada, "s-1")
    before = AuditEvent.objects.count()
    answer = page.get(path, headers=BOOSTED)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["HX-Redirect"] == path
    assert AuditEvent.objects.count() == before


def test_the_sidebar_is_not_read(page: Client, ada: Agent) -> None:
    # the first page of a session costs a statement more
    page.get("/people/")
    with CaptureQueriesContext(connection) as whole:
        page.get("/people/")
    with CaptureQueriesContext(connection) as part:
        page.get("/people/", headers=BOOSTED)
    assert len(part) == len(whole) - 1


def test_who_is_signed_out_is_led_to_sign_in_and_on_to_the_page(ada: Agent) -> None:
    answer = Client().get("/agents/agt-ada/users/", headers=BOOSTED, follow=True)
    assert answer.headers["HX-Redirect"] == "/sign-in/?next=%2Fagents%2Fagt-ada%2Fusers%2F"


class TestErrors:
    """They take the place of the page, too; the sidebar stays."""

    def said(self, answer: Any, status: int, words: str) -> None:
        assert answer.status_code == status
        assert words in text(answer)
        assert html(answer).count("<main") == 1
        assert "<!DOCTYPE" not in html(answer)
        assert answer.headers["HX-Retarget"] == "#main"
        assert "no-store" in answer.headers["Cache-Control"]

    def test_what_is_not_there(self, page: Client, ada: Agent) -> None:
        for path in ("/no/such/page", "/agents/agt-none/memory/", "/agents/agt-ada/threads/none/"):
            self.said(page.get(path, headers=BOOSTED), 404, "Not found")

    def test_what_a_role_does_not_include(self, ada: Agent) -> None:
        client = signed_in(person("viewer"))
        self.said(client.get("/agents/new/", headers=BOOSTED), 403, "Not allowed")
        self.said(client.get("/agents/agt-ada/threads/s-1/", headers=BOOSTED), 403, "Not allowed")

    @pytest.mark.parametrize(
        ("error", "status", "words"),
        [
            (BadRequest(), 400, "Bad request"),
            (PermissionDenied(), 403, "Not allowed"),
            (RuntimeError("boom"), 500, "Something went wrong"),
            (OperationalError("gone"), 503, "Database unavailable"),
        ],
    )
    def test_what_fails(
        self, page: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str
    ) -> None:
        monkeypatch.setattr(listing, "page", fails(error))
        page.raise_request_exception = False
        self.said(page.get("/agents/", headers=BOOSTED), status, words)

    def test_a_database_that_is_away_before_the_person_is_known(
        self, page: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("studio.people.sessions._read", fails(OperationalError("gone")))
        page.raise_request_exception = False
        self.said(page.get("/agents/", headers=BOOSTED), 503, "Database unavailable")


class TestStillAllowed:
    """What a page asks that the browser has kept, before it is shown again."""

    def address(self, client: Client) -> str:
        found = re.search(r'data-still-allowed="([^"]+)"', html(client.get("/agents/")))
        assert found
        return found[1]

    def test_it_may_be_shown_while_nothing_has_changed(self, page: Client) -> None:
        address = self.address(page)
        assert page.get(address).status_code == 204
        assert self.address(page) == address

    def test_not_to_strangers_nor_to_somebody_else(self, page: Client) -> None:
        address = self.address(page)
        assert Client().get(address).status_code == 401
        assert signed_in(new_person("admin")).get(address).status_code == 401

    def test_not_after_any_change_of_the_rights(self, ada: Agent, bruno: Agent) -> None:
        guest = new_person("viewer", ada)
        client = signed_in(guest)
        address = self.address(client)
        role = guest.grants.create(role="support", agent=bruno)
        assert client.get(address).status_code == 401
        role.delete()
        assert client.get(address).status_code == 204
        guest.grants.all().delete()
        assert client.get(address).status_code == 401

    def test_not_after_signing_out(self, page: Client) -> None:
        address = self.address(page)
        assert page.post("/sign-out/").headers["Clear-Site-Data"] == '"cache"'
        assert page.get(address).status_code == 401

    def test_signing_out_everywhere_clears_the_cache_too(self, page: Client) -> None:
        assert page.post("/account/sign-out-everywhere/").headers["Clear-Site-Data"] == '"cache"'

    @pytest.mark.parametrize("path", ["/agents/agt-ada/threads/s-1/", "/keys/", "/agents/agt-ada/connection/"])
    def test_what_is_not_kept_says_no_address(self, page: Client, ada: Agent, path: str) -> None:
        write_thread(ada, "s-1")
        assert "data-still-allowed" not in html(page.get(path))
