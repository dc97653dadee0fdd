"""Confirming who one is: what asks for it, and that the form which was sent is kept."""

from typing import Any, ClassVar

import pytest
from django.conf import LazySettings
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.test import Client

from memory.pages import deletion
from studio.models import Agent, ApiKey, AuditEvent, Grant, Session, User
from studio.people import mail
from studio.people import service as people
from studio.people.links import new_link
from tests.markup import Page
from tests.reading import form_with, html, links, text
from tests.world import HTMX, PASSWORD, fails, is_in, person, signed_in, write_thread


@pytest.fixture
def stale(admin: User) -> Client:
    """A browser where an admin signed in an hour ago."""
    return signed_in(admin, minutes_ago=60)


def asks(response: Any) -> bool:
    return bool(response.status_code in (200, 422) and "Confirm it is you" in text(response))


def confirm(client: Client, url: str, response: Any, **given: str) -> Any:
    """Fill in the page as a browser would: all of its fields, and what is given."""
    form = form_with(response, "confirm-method")
    return client.post(url, {**form.fields, **{f"confirm-{name}": value for name, value in given.items()}})


class TestWhatAsks:
    @pytest.fixture
    def viewer(self, db: None) -> User:
        return person("viewer")

    def test_removing_an_agent(self, stale: Client, bruno: Agent) -> None:
        url = "/agents/agt-bruno/remove/now/"
        answer = stale.post(url, {"confirm": "agt-bruno"})
        assert asks(answer)
        assert Agent.objects.filter(pk="agt-bruno").exists()
        assert confirm(stale, url, answer, password=PASSWORD).status_code == 303
        assert not Agent.objects.filter(pk="agt-bruno").exists()

    def test_deleting_more_threads_than_a_hundred(
        self, stale: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert deletion.CONFIRM_ABOVE == 100
        monkeypatch.setattr(deletion, "CONFIRM_ABOVE", 2)
        for number in range(5):
            write_thread(ada, f"s-{number}")
        url = "/agents/agt-ada/delete-threads/now/"
        two = {"id": ["s-0", "s-1"], "expect": "2", "confirm": "2"}
        assert stale.post(url, two).status_code == 303
        three = {"id": ["s-2", "s-3", "s-4"], "expect": "3", "confirm": "3"}
        answer = stale.post(url, three)
        assert asks(answer)
        assert confirm(stale, url, answer, password=PASSWORD).status_code == 303
        assert b"s-2" not in stale.get("/agents/agt-ada/threads/").content

    def test_rotating_and_revealing_the_connection(self, stale: Client, ada: Agent) -> None:
        for url in ("/agents/agt-ada/connection/", "/agents/agt-ada/connection/password/"):
            answer = stale.post(url)
            assert asks(answer)
            assert b"postgresql://" not in answer.content

    def test_changing_roles(self, stale: Client, viewer: User) -> None:
        url = f"/people/{viewer.pk}/roles/add/"
        answer = stale.post(url, {"role": "admin", "agent": ""})
        assert asks(answer)
        assert not Grant.objects.filter(user=viewer, role="admin").exists()
        confirm(stale, url, answer, password=PASSWORD)
        assert Grant.objects.filter(user=viewer, role="admin").exists()

    @pytest.mark.parametrize("action", ["roles/remove", "deactivate", "reactivate", "sign-out", "link"])
    def test_every_change_of_a_person(self, stale: Client, viewer: User, action: str) -> None:
        assert asks(stale.post(f"/people/{viewer.pk}/{action}/"))

    def test_inviting(self, stale: Client) -> None:
        form = {"email": "n@example.com", "role": "admin", "reach": "all"}
        assert asks(stale.post("/people/invite/", form))
        assert not User.objects.filter(email="n@example.com").exists()

    def test_making_a_key(self, stale: Client) -> None:
        form = {"name": "k", "scopes": ["admin"], "reach": "all", "days": "30"}
        assert asks(stale.post("/keys/new/", form))
        assert not ApiKey.objects.exists()

    def test_not_what_is_wrong_or_forbidden_anyway(self, stale: Client, viewer: User) -> None:
        assert not asks(stale.post("/agents/agt-ada/remove/now/", {"confirm": "wrong"}))
        assert not asks(signed_in(viewer, minutes_ago=60).post(f"/people/{viewer.pk}/deactivate/"))

    def test_not_somebody_who_signed_in_lately(self, admin: User, viewer: User) -> None:
        url = f"/people/{viewer.pk}/sign-out/"
        assert signed_in(admin, minutes_ago=14.9).post(url).status_code == 303
        assert asks(signed_in(admin, minutes_ago=15.1).post(url))

    def test_not_a_clock_that_went_back(self, admin: User, viewer: User) -> None:
        assert asks(signed_in(admin, minutes_ago=-60).post(f"/people/{viewer.pk}/sign-out/"))


class TestTheSession:
    """Confirming gives it a new key: whoever knew the old one has not confirmed."""

    URL = "/account/factors/app/add/"

    def key_of(self, client: Client) -> str:
        return client.cookies["session"].value

    def with_key(self, key: str) -> Client:
        client = Client()
        client.cookies["session"] = key
        return client

    def test_the_old_key_is_worth_nothing_then(self, stale: Client, admin: User) -> None:
        before = self.key_of(stale)
        assert is_in(self.with_key(before))
        confirm(stale, self.URL, stale.get(self.URL), password=PASSWORD)
        assert self.key_of(stale) != before
        assert not is_in(self.with_key(before))
        assert not asks(stale.get(self.URL))
        assert Session.objects.filter(user=admin).count() == 1

    def test_with_a_form_that_was_kept_too(self, stale: Client, admin: User) -> None:
        before = self.key_of(stale)
        form = {"name": "k", "scopes": ["admin"], "reach": "all", "days": "30"}
        confirm(stale, "/keys/new/", stale.post("/keys/new/", form), password=PASSWORD)
        assert ApiKey.objects.exists()
        assert not is_in(self.with_key(before))
        assert is_in(stale)

    def test_not_by_a_wrong_password(self, stale: Client) -> None:
        before = self.key_of(stale)
        confirm(stale, self.URL, stale.get(self.URL), password="wrong")
        assert is_in(self.with_key(before))

    def test_a_failure_of_ours_signs_nobody_out(self, stale: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """The browser does not get to know a new key with it."""
        stale.raise_request_exception = False
        answer = stale.post("/people/invite/", {"email": "n@example.com", "role": "viewer", "reach": "all"})
        monkeypatch.setattr(people, "invite", fails(OperationalError("gone")))
        assert confirm(stale, "/people/invite/", answer, password=PASSWORD).status_code == 503
        assert is_in(stale)

    def test_one_that_was_ended_meanwhile_stays_ended(self, stale: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = stale.post("/people/invite/", {"email": "n@example.com", "role": "viewer", "reach": "all"})

        def ended(*args: Any, **more: Any) -> None:
            Session.objects.all().delete()
            raise PermissionDenied

        monkeypatch.setattr(people, "invite", ended)
        confirm(stale, "/people/invite/", answer, password=PASSWORD)
        assert not Session.objects.exists()
        assert not is_in(stale)


class TestThePage:
    URL = "/people/invite/"
    FORM: ClassVar = {
        "email": "n@example.com",
        "name": 'a "b" <c> \n é',
        "role": "viewer",
        "reach": "some",
        "agents": ["x", "agt-ada"],
    }

    def test_it_keeps_every_field_that_was_sent(self, stale: Client, ada: Agent) -> None:
        form = {**self.FORM, "agents": ["agt-ada", "agt-bruno"]}
        answer = stale.post(self.URL, form)
        kept = form_with(answer, "confirm-method").fields
        assert kept["agents"] == ["agt-ada", "agt-bruno"]
        assert kept["name"] == [form["name"]]
        done = confirm(stale, self.URL, answer, password=PASSWORD)
        assert done.status_code == 201
        assert User.objects.get(email="n@example.com").grants.count() == 2

    def test_a_wrong_password_asks_again_and_keeps_the_form(self, stale: Client, ada: Agent) -> None:
        url = "/agents/agt-ada/remove/now/"
        answer = confirm(stale, url, stale.post(url, {"confirm": "agt-ada"}), password="wrong")
        assert (answer.status_code, asks(answer)) == (422, True)
        assert Agent.objects.filter(pk="agt-ada").exists()
        assert confirm(stale, url, answer, password=PASSWORD).status_code == 303

    def test_the_password_is_not_in_the_page(self, stale: Client, ada: Agent) -> None:
        url = "/agents/agt-ada/remove/now/"
        answer = confirm(stale, url, stale.post(url, {"confirm": "agt-ada"}), password="a wrong one 123")
        assert b"a wrong one 123" not in answer.content

    def test_many_wrong_ones_are_slowed_down(self, stale: Client, ada: Agent) -> None:
        url = "/agents/agt-ada/remove/now/"
        answer = stale.post(url, {"confirm": "agt-ada"})
        for _ in range(10):
            answer = confirm(stale, url, answer, password="wrong")
        assert "Too many tries." in text(confirm(stale, url, answer, password=PASSWORD))
        assert Agent.objects.filter(pk="agt-ada").exists()

    def test_it_is_good_for_what_comes_next_too(self, stale: Client, ada: Agent, bruno: Agent) -> None:
        url = "/agents/agt-ada/remove/now/"
        confirm(stale, url, stale.post(url, {"confirm": "agt-ada"}), password=PASSWORD)
        assert stale.post("/agents/agt-bruno/remove/now/", {"confirm": "agt-bruno"}).status_code == 303

    def test_somebody_elses_password_is_wrong(self, stale: Client, ada: Agent) -> None:
        User.objects.create_user("o@example.com", "another password 9")
        url = "/agents/agt-ada/remove/now/"
        answer = confirm(stale, url, stale.post(url, {"confirm": "agt-ada"}), password="another password 9")
        assert answer.status_code == 422

    def test_proof_of_somebody_else_in_this_session_does_not_count(self, admin: User, ada: Agent) -> None:
        client = signed_in(admin)
        session = client.session
        session["account_authentication_methods_user"] = "999999"
        session.save()
        assert asks(client.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"}))

    def test_htmx_is_told_to_send_the_form_as_a_page(self, stale: Client, ada: Agent) -> None:
        answer = stale.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"}, headers=HTMX)
        assert (answer.headers["hx-retarget"], answer.headers["hx-reswap"]) == ("body", "beforeend")
        form = Page(html(answer)).form("/remove/")
        assert form.fields["confirm"] == ["agt-ada"]
        assert b"data-submit-now" in answer.content

    def test_it_is_not_kept_by_the_browser(self, stale: Client, ada: Agent) -> None:
        answer = stale.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"})
        assert "no-store" in answer.headers["cache-control"]

    def test_cancel_leads_back_to_a_page_of_ours_only(self, stale: Client, ada: Agent) -> None:
        for page, back in (
            ("http://testserver/agents/agt-ada/edit/", "http://testserver/agents/agt-ada/edit/"),
            ("https://evil.example/", "/agents/"),
            ("javascript:alert(1)", "/agents/"),
        ):
            answer = stale.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"}, headers={"referer": page})
            assert back in links(answer)
            assert page == back or page not in answer.content.decode()


class TestWithoutAPassword:
    """Whoever came by link has 15 minutes, sets a password within an hour, and then needs a fresh link for that."""

    REMOVE: ClassVar = ("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"})
    NEW: ClassVar = {"new-password": "a brand new secret", "new-password-again": "a brand new secret"}

    @property
    def user(self) -> User:
        return User.objects.get(email="linked@example.com")

    @pytest.fixture
    def linked(self, db: None) -> Client:
        user = User.objects.create_user("linked@example.com")
        Grant.objects.create(user=user, role="admin")
        client = Client()
        client.post(new_link(user.email))
        return client

    def age(self, client: Client, minutes: float) -> None:
        session = client.session
        for record in session["account_authentication_methods"]:
            record["at"] -= 60 * minutes
        if "signed_in_by_link_at" in session:
            session["signed_in_by_link_at"] -= 60 * minutes
        session.save()

    def test_a_fresh_link_counts(self, linked: Client, ada: Agent) -> None:
        assert linked.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"}).status_code == 303

    def test_later_the_main_button_sets_a_password_and_what_was_sent_is_done(self, linked: Client) -> None:
        self.age(linked, 16)
        sent = {"name": 'k "1" é', "scopes": ["admin"], "reach": "all", "days": "30"}
        answer = linked.post("/keys/new/", sent)
        assert asks(answer)
        assert "Set password and go on" in text(answer)
        assert "confirm-link" not in html(answer)
        done = confirm(linked, "/keys/new/", answer, **self.NEW)
        assert done.status_code == 201
        assert ApiKey.objects.get().name == sent["name"]
        assert self.user.check_password("a brand new secret")
        assert AuditEvent.objects.filter(action="person.password", object="linked@example.com").count() == 1
        # the session goes on, and the password confirms from now on
        assert is_in(linked)
        self.age(linked, 16)
        url, form = self.REMOVE
        assert confirm(linked, url, linked.post(url, form), password="a brand new secret").status_code == 303

    def test_after_an_hour_it_takes_a_fresh_link_too(self, linked: Client, ada: Agent) -> None:
        self.age(linked, 61)
        url, form = self.REMOVE
        answer = linked.post(url, form)
        assert ".venv/bin/python manage.py sign_in_link --email linked@example.com" in text(answer)
        for link in ("", "x", "/sign-in/once/" + "x" * 43 + "/", new_link(person("viewer").email)):
            answer = confirm(linked, url, answer, link=link, **self.NEW)
            assert (answer.status_code, asks(answer)) == (422, True)
            assert "That link is not yours, was used, or has expired." in text(answer)
        assert not self.user.has_usable_password()
        assert Agent.objects.filter(pk="agt-ada").exists()
        fresh = new_link("linked@example.com")
        answer = confirm(linked, url, answer, link=f"http://testserver{fresh}", **self.NEW)
        assert answer.status_code == 303
        assert self.user.check_password("a brand new secret")
        assert not Agent.objects.filter(pk="agt-ada").exists()
        assert Client().get(fresh, follow=True).status_code == 410

    def test_a_link_without_a_password_is_kept_and_a_password_asked_for(self, linked: Client, ada: Agent) -> None:
        self.age(linked, 61)
        url, form = self.REMOVE
        fresh = new_link("linked@example.com")
        answer = confirm(linked, url, linked.post(url, form), link=fresh)
        assert "Type a new password, twice." in text(answer)
        assert confirm(linked, url, answer, **self.NEW).status_code == 303

    def test_somebody_elses_link_is_not_used_up(self, linked: Client, ada: Agent) -> None:
        self.age(linked, 61)
        url, form = self.REMOVE
        theirs = new_link(person("viewer").email)
        confirm(linked, url, linked.post(url, form), link=theirs, **self.NEW)
        assert "The link works once." in text(Client().get(theirs))

    def test_a_password_that_will_not_do_uses_no_link_up(self, linked: Client, ada: Agent) -> None:
        self.age(linked, 61)
        url, form = self.REMOVE
        fresh, weak = new_link("linked@example.com"), {"new-password": "short", "new-password-again": "short"}
        answer = confirm(linked, url, linked.post(url, form), link=fresh, **weak)
        assert "too short" in text(answer)
        assert b'short"' not in answer.content
        assert form_with(answer, "confirm-method").fields["confirm-link"] == [fresh]
        assert confirm(linked, url, answer, **self.NEW).status_code == 303

    def test_or_the_link_is_opened_in_another_tab_and_the_open_form_goes_on(self, db: None, ada: Agent) -> None:
        user = User.objects.create_user("tabs@example.com")
        Grant.objects.create(user=user, role="admin")
        browser = Client(enforce_csrf_checks=True)

        def open_link() -> None:
            link = new_link(user.email)
            token = form_with(browser.get(link), "csrfmiddlewaretoken").fields["csrfmiddlewaretoken"]
            assert browser.post(link, {"csrfmiddlewaretoken": token}).status_code == 303

        open_link()
        self.age(browser, 61)
        url, form = self.REMOVE
        token = form_with(browser.get("/agents/agt-ada/remove/"), "confirm").fields["csrfmiddlewaretoken"]
        answer = browser.post(url, {**form, "csrfmiddlewaretoken": token})
        assert asks(answer)
        open_link()
        assert confirm(browser, url, answer).status_code == 303
        assert not Agent.objects.filter(pk="agt-ada").exists()

    def test_a_form_of_somebody_who_was_signed_in_before_does_not_go_on(self, db: None, ada: Agent) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(person("viewer"))
        before = form_with(browser.get("/account/"), "csrfmiddlewaretoken").fields["csrfmiddlewaretoken"]
        link = new_link(person("admin").email)
        token = form_with(browser.get(link), "csrfmiddlewaretoken").fields["csrfmiddlewaretoken"]
        assert browser.post(link, {"csrfmiddlewaretoken": token}).status_code == 303
        assert browser.post("/keys/new/", {"csrfmiddlewaretoken": before}).status_code == 403

    def test_a_link_is_mailed_from_the_page_which_keeps_what_it_holds(
        self, linked: Client, ada: Agent, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.EMAIL_URL = "smtp://localhost"
        sent: list[tuple[str, str]] = []
        monkeypatch.setattr(mail, "send_link", lambda user, path: sent.append((user.email, path)))
        self.age(linked, 61)
        url, form = self.REMOVE
        answer = confirm(linked, url, linked.post(url, form), mail="1")
        assert "A link is on its way to linked@example.com." in text(answer)
        assert [email for email, _ in sent] == ["linked@example.com"]
        assert confirm(linked, url, answer, link=sent[0][1], **self.NEW).status_code == 303
        assert not Agent.objects.filter(pk="agt-ada").exists()

    @pytest.mark.parametrize("password", ["", "!", "anything"])
    def test_no_password_is_right(self, linked: Client, ada: Agent, password: str) -> None:
        self.age(linked, 16)
        form = {"confirm": "agt-ada", "confirm-method": "post", "confirm-password": password}
        assert asks(linked.post("/agents/agt-ada/remove/now/", form))
        assert Agent.objects.filter(pk="agt-ada").exists()

    def test_a_session_left_open_cannot_set_one(self, linked: Client) -> None:
        self.age(linked, 61)
        new = {"new_password1": "a brand new secret", "new_password2": "a brand new secret"}
        assert "Sign in by a fresh link" in text(linked.post("/account/password/", new))
        assert not User.objects.get(email="linked@example.com").has_usable_password()
