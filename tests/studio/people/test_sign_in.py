"""Signing in by password and by one-time link, signing out, and passwords."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, override_settings
from django.utils import timezone

from studio.models import AuditEvent, SignInLink, User
from studio.people.links import FIRST_ADMIN, new_link
from tests.markup import Page
from tests.reading import form_with, links, text
from tests.world import PASSWORD, fails, person, signed_in

SIGN_IN = "/sign-in/"


@pytest.fixture(autouse=True)
def _no_tries_counted(db: None) -> None:
    cache.clear()


def is_signed_in(client: Client) -> bool:
    return client.get("/agents/").status_code == 200


def sign_in(client: Client, password: str = PASSWORD, email: str = "admin@example.com", **more: str) -> Any:
    return client.post(SIGN_IN, {"login": email, "password": password, **more})


class TestByPassword:
    def test_it_leads_to_the_page_that_was_wanted(self, admin: User) -> None:
        client = Client()
        wanted = client.get("/agents/?q=x").headers["location"]
        form = form_with(client.get(wanted), "login")
        assert form.fields["next"] == ["/agents/?q=x"]
        answer = sign_in(client, next="/agents/?q=x")
        assert (answer.status_code, answer.headers["location"]) == (302, "/agents/?q=x")
        assert is_signed_in(client)

    def test_the_email_is_taken_in_any_case(self, admin: User) -> None:
        assert sign_in(Client(), email="Admin@Example.com").status_code == 302

    @pytest.mark.parametrize("password", ["wrong", "", "\x00", "p" * 5000])
    def test_a_wrong_password_says_no_more_than_that(self, admin: User, password: str) -> None:
        client = Client()
        known, unknown = sign_in(client, password), sign_in(client, password, email="nobody@example.com")
        assert known.status_code == unknown.status_code == 200
        assert text(known) == text(unknown)
        assert not is_signed_in(client)

    def test_it_is_audited(self, admin: User) -> None:
        sign_in(Client())
        event = AuditEvent.objects.get(action="person.sign_in")
        assert (event.actor, event.object, event.data) == ("Admin", "admin@example.com", {"how": "password"})

    def test_without_its_audit_event_nobody_is_signed_in(self, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("studio.people.adapters.record", fails(RuntimeError("no audit")))
        client = Client(raise_request_exception=False)
        assert sign_in(client).status_code == 500
        assert not is_signed_in(client)

    def test_the_session_gets_a_new_key(self, admin: User) -> None:
        client = Client()
        client.get(SIGN_IN)
        session = client.session
        session["before"] = True
        session.save()
        before = session.session_key
        sign_in(client)
        assert client.session.session_key != before

    def test_a_deactivated_person_is_told_so_and_stays_out(self, admin: User) -> None:
        User.objects.filter(pk=admin.pk).update(is_active=False)
        client = Client()
        answer = sign_in(client)
        assert not is_signed_in(client)
        assert answer.headers["location"] == "/sign-in/inactive/"
        assert "An admin of the studio can activate it again." in text(client.get("/sign-in/inactive/"))

    def test_deactivating_ends_a_session_at_once(self, admin: User) -> None:
        client = signed_in(admin)
        User.objects.filter(pk=admin.pk).update(is_active=False)
        assert not is_signed_in(client)

    def test_it_never_leads_off_the_site(self, admin: User) -> None:
        assert sign_in(Client(), next="https://evil.example/").headers["location"] == "/agents/"

    def test_many_tries_are_slowed_down(self, admin: User) -> None:
        client = Client()
        for _ in range(5):
            sign_in(client, "wrong")
        assert "Too many" in text(sign_in(client))
        assert not is_signed_in(client)

    def test_too_many_requests_get_a_page_that_says_when(self, db: None) -> None:
        client = Client()
        answers = [sign_in(client, "") for _ in range(31)]
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"] == "60"
        assert "Wait a minute" in text(answers[-1])

    def test_who_is_signed_in_is_sent_on(self, page: Client) -> None:
        assert page.get(SIGN_IN).headers["location"] == "/agents/"

    @pytest.mark.parametrize("method", ["put", "patch", "delete"])
    def test_other_methods_are_refused(self, db: None, method: str) -> None:
        assert getattr(Client(), method)(SIGN_IN).status_code == 405

    def test_a_fragment_of_a_page_whose_session_ended_sends_the_whole_page_to_sign_in(self, db: None) -> None:
        headers = {"hx-request": "true", "hx-current-url": "http://testserver/agents/?q=ada"}
        answer = Client().get("/agents/", headers=headers, follow=True)
        assert answer.headers["hx-redirect"] == "/sign-in/?next=%2Fagents%2F%3Fq%3Dada"
        assert b"<form" not in answer.content

    def test_it_needs_the_forms_token(self, admin: User) -> None:
        client = Client(enforce_csrf_checks=True)
        answer = sign_in(client)
        assert answer.status_code == 403
        assert "Form expired" in text(answer)

    def test_nobody_makes_an_account_by_themselves(self, db: None) -> None:
        for path in ("/sign-up/", "/sign-in/sign-up/", "/accounts/signup/", "/account/sign-up/"):
            assert Client().get(path).status_code == 404


class TestCookies:
    def test_they_are_closed_to_scripts_and_other_sites(self, admin: User) -> None:
        client = Client()
        client.get(SIGN_IN)
        sign_in(client)
        for name in ("session", "csrf"):
            assert client.cookies[name]["httponly"]
            assert client.cookies[name]["samesite"] == "Lax"

    @override_settings(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_NAME="__Host-session")
    def test_under_https_they_stay_there(self, admin: User) -> None:
        client = Client()
        client.post(SIGN_IN, {"login": "admin@example.com", "password": PASSWORD}, secure=True)
        cookie = client.cookies["__Host-session"]
        assert cookie["secure"]
        assert (cookie["path"], cookie["domain"]) == ("/", "")


class TestByLink:
    def test_opening_it_spends_nothing(self, admin: User) -> None:
        client, link = Client(), new_link("admin@example.com")
        for _ in range(2):
            answer = client.get(link)
            assert "Sign in as Admin" in text(answer)
            assert "no-store" in answer.headers["cache-control"]
        assert not is_signed_in(client)

    def test_its_button_signs_in(self, admin: User) -> None:
        client, link = Client(), new_link("admin@example.com")
        answer = client.post(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/agents/")
        assert is_signed_in(client)
        event = AuditEvent.objects.get(action="person.sign_in")
        assert (event.actor, event.data) == ("Admin", {"how": "link"})

    def test_it_works_once(self, admin: User) -> None:
        link = new_link("admin@example.com")
        Client().post(link)
        second = Client()
        assert second.post(link).headers["location"] == "/sign-in/expired/"
        assert second.get(link).headers["location"] == "/sign-in/expired/"
        assert not is_signed_in(second)
        assert AuditEvent.objects.filter(action="person.sign_in").count() == 1

    def test_it_works_for_an_hour(self, admin: User) -> None:
        link = new_link("admin@example.com")
        SignInLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        client = Client()
        assert client.get(link).headers["location"] == "/sign-in/expired/"
        assert client.post(link).headers["location"] == "/sign-in/expired/"
        assert not is_signed_in(client)

    @pytest.mark.parametrize("token", ["x", "~", "%00", "%ED%A0%80", "é", "a" * 3000, "..%2f", "'"])
    def test_an_unknown_one_leads_to_how_to_get_another(self, db: None, token: str) -> None:
        answer = Client().get(f"/sign-in/once/{token}/", follow=True)
        assert answer.status_code in (404, 410)
        if answer.status_code == 410:
            assert "manage.py sign_in_link" in text(answer)

    def test_a_spent_one_does_not_put_its_token_into_the_log(
        self, admin: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        link = new_link("admin@example.com")
        client = Client()
        client.post(link)
        assert client.get(link, follow=True).status_code == 410
        assert link.split("/")[3] not in caplog.text

    def test_a_deactivated_person_cannot_use_theirs(self, admin: User) -> None:
        link = new_link("admin@example.com")
        User.objects.filter(pk=admin.pk).update(is_active=False)
        assert Client().post(link).headers["location"] == "/sign-in/expired/"

    def test_only_a_hash_of_it_is_stored(self, admin: User) -> None:
        token = new_link("admin@example.com").split("/")[3]
        assert token not in str(SignInLink.objects.values_list().get())

    def test_it_takes_over_a_session_of_somebody_else(self, admin: User) -> None:
        client = signed_in(person("viewer"))
        client.post(new_link("admin@example.com"))
        assert client.get("/agents/").context["user"] == admin

    def test_it_needs_the_forms_token(self, admin: User) -> None:
        client, link = Client(enforce_csrf_checks=True), new_link("admin@example.com")
        assert client.post(link).status_code == 403
        token = Page(client.get(link).content.decode()).form("").fields["csrfmiddlewaretoken"][0]
        assert client.post(link, {"csrfmiddlewaretoken": token}).status_code == 303

    def test_without_its_audit_event_it_is_not_spent(self, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
        link = new_link("admin@example.com")

        with monkeypatch.context() as patch:
            patch.setattr("studio.people.adapters.record", fails(RuntimeError("no audit")))
            assert Client(raise_request_exception=False).post(link).status_code == 500
        assert Client().post(link).status_code == 303


class TestPasswords:
    URL = "/account/password/"
    NEW = "a brand new secret"

    @pytest.fixture
    def first(self, db: None) -> Client:
        """The first admin's browser, who came by link and has no password."""
        User.objects.filter(grants__role="admin").update(is_active=False)
        client = Client()
        client.post(new_link())
        return client

    def test_whoever_comes_by_link_without_one_is_offered_to_set_it(self, first: Client) -> None:
        shown = first.get("/agents/")
        assert "You have no password yet. Set one" in text(shown)
        assert self.URL in links(shown)

    def test_the_first_one_needs_no_old_one(self, first: Client) -> None:
        answer = first.post(self.URL, {"new_password1": self.NEW, "new_password2": self.NEW})
        assert answer.status_code == 303
        assert is_signed_in(first)
        assert sign_in(Client(), self.NEW, FIRST_ADMIN).status_code == 302
        assert AuditEvent.objects.filter(action="person.password", object=FIRST_ADMIN).exists()

    def test_another_one_needs_the_old_one(self, page: Client, admin: User) -> None:
        page.post(self.URL, {"new_password1": self.NEW, "new_password2": self.NEW})
        assert sign_in(Client()).status_code == 302
        answer = page.post(self.URL, {"old_password": PASSWORD, "new_password1": self.NEW, "new_password2": self.NEW})
        assert answer.status_code == 303
        assert is_signed_in(page)
        assert sign_in(Client(), self.NEW).status_code == 302

    def test_a_link_replaces_a_forgotten_one_within_the_hour(self, admin: User) -> None:
        client = Client()
        client.post(new_link("admin@example.com"))
        assert "old_password" not in client.get(self.URL).context["form"].fields
        session = client.session
        session["signed_in_by_link_at"] -= 3601
        session.save()
        assert "old_password" in client.get(self.URL).context["form"].fields

    def test_a_link_replaces_it_once(self, admin: User) -> None:
        client = Client()
        client.post(new_link("admin@example.com"))
        client.post(self.URL, {"new_password1": self.NEW, "new_password2": self.NEW})
        assert "old_password" in client.get(self.URL).context["form"].fields

    def test_setting_it_ends_other_sessions(self, page: Client, admin: User) -> None:
        other = signed_in(admin)
        page.post(self.URL, {"old_password": PASSWORD, "new_password1": self.NEW, "new_password2": self.NEW})
        assert is_signed_in(page)
        assert not is_signed_in(other)

    @pytest.mark.parametrize("weak", ["short", "passwordpassword"[:8], "", "\x00" * 12])
    def test_a_weak_one_is_refused(self, first: Client, weak: str) -> None:
        answer = first.post(self.URL, {"new_password1": weak, "new_password2": weak})
        assert answer.status_code == 422
        assert "field-error" in answer.content.decode()

    def test_two_that_differ_are_refused(self, first: Client) -> None:
        answer = first.post(self.URL, {"new_password1": self.NEW, "new_password2": self.NEW + "!"})
        assert answer.status_code == 422

    def test_the_page_is_closed_to_strangers(self, db: None) -> None:
        assert Client().get(self.URL).headers["location"] == "/sign-in/?next=/account/password/"

    def test_a_forgotten_one_has_a_page_that_says_what_to_do(self, db: None) -> None:
        assert "/account/password/forgotten/" in links(Client().get(SIGN_IN))
        assert "manage.py sign_in_link --email" in text(Client().get("/account/password/forgotten/"))


class TestSigningOut:
    def test_it_ends_the_session_and_is_audited(self, page: Client) -> None:
        answer = page.post("/sign-out/")
        assert answer.status_code == 302
        assert not is_signed_in(page)
        assert "You have signed out." in text(page.get(SIGN_IN))
        assert AuditEvent.objects.get(action="person.sign_out").actor == "Admin"

    def test_a_link_alone_signs_nobody_out(self, page: Client) -> None:
        assert "Sign out?" in text(page.get("/sign-out/"))
        assert is_signed_in(page)
