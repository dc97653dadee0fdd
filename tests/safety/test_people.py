"""People: who may come in."""

import threading
from datetime import timedelta
from importlib import import_module
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent, ApiKey, AuditEvent, Grant, SignInLink, User
from tests.markup import Page
from tests.reading import html, links, text
from tests.world import HTMX, SYSTEM, is_in, person, signed_in, sql


class TestTheList:
    def test_it_shows_everybody_with_roles_and_state(self, page: Client, ada: Agent) -> None:
        Grant.objects.create(user=person("viewer"), role="support", agent=ada)
        User.objects.filter(email="support@example.com").update(is_active=False)
        shown = text(page.get("/people/"))
        assert "Viewer viewer@example.com Support · Ada's agent Viewer Invited" in shown
        assert "Support support@example.com Support Deactivated" in shown

    def test_it_is_found_by_name_and_email(self, page: Client) -> None:
        shown = text(page.get("/people/", {"q": "privacy@"}, headers=HTMX))
        assert "Privacy" in shown
        assert "viewer" not in shown

    def test_it_pages_by_email(self, page: Client) -> None:
        User.objects.bulk_create(User(email=f"p{n:03}@example.org") for n in range(60))
        first = page.get("/people/", headers=HTMX).context
        second = page.get(first["older"], headers=HTMX).context
        emails = [one.email for one in [*first["people"], *second["people"]]]
        assert emails == sorted(emails)
        assert len(set(emails)) == User.objects.count()

    def test_its_queries_do_not_grow_with_people(
        self, page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        User.objects.bulk_create(User(email=f"p{n:03}@example.org") for n in range(40))
        with django_assert_max_num_queries(6):
            page.get("/people/")

    def test_it_answers_htmx_with_the_table_alone(self, page: Client) -> None:
        answer = page.get("/people/", headers=HTMX)
        assert answer.content.strip().startswith(b'<div id="people"')
        assert "HX-Request" in answer.headers["vary"]

    @pytest.mark.parametrize("role", ["viewer", "support", "operator", "privacy"])
    def test_it_is_for_admins(self, db: None, role: str) -> None:
        client = signed_in(person(role))
        assert client.get("/people/").status_code == 403
        assert "/people/" not in links(client.get("/agents/"))


class TestInviting:
    FORM: ClassVar = {"email": "New@Example.com", "name": "Nora", "role": "support", "reach": "all"}

    def link(self, answer: Any) -> str:
        path: str = answer.context["link"].removeprefix(settings.PUBLIC_URL)
        return path

    def test_the_link_leads_to_setting_a_password(self, page: Client) -> None:
        answer = page.post("/people/invite/", self.FORM)
        assert answer.status_code == 201
        assert "no-store" in answer.headers["cache-control"]
        guest = Client()
        opened = guest.post(self.link(answer))
        assert (opened.status_code, opened.headers["location"]) == (303, "/account/password/")
        new = {"new_password1": "a brand new secret", "new_password2": "a brand new secret"}
        assert guest.post("/account/password/", new).status_code == 303
        again = Client()
        again.post("/sign-in/", {"login": "new@example.com", "password": "a brand new secret"})
        assert is_in(again)
        assert Client().post(self.link(answer)).headers["location"] == "/sign-in/expired/"

    def test_it_works_for_a_week(self, page: Client) -> None:
        link = self.link(page.post("/people/invite/", self.FORM))
        row = SignInLink.objects.get(user__email="new@example.com")
        assert timedelta(days=6.9) < row.expires_at - timezone.now() <= timedelta(days=7)
        SignInLink.objects.update(expires_at=timezone.now())
        assert Client().post(link).headers["location"] == "/sign-in/expired/"

    def test_the_role_is_on_the_chosen_agents_alone(self, page: Client, ada: Agent) -> None:
        page.post("/people/invite/", {**self.FORM, "reach": "some", "agents": [ada.pk]})
        user = User.objects.get(email="new@example.com")
        assert list(user.grants.values_list("role", "agent_id")) == [("support", ada.pk)]
        client = signed_in(user)
        assert client.get("/agents/agt-ada/threads/").status_code == 200
        assert client.get("/agents/agt-bruno/threads/").status_code == 404

    def test_it_is_audited_without_the_link(self, page: Client) -> None:
        answer = page.post("/people/invite/", self.FORM)
        event = AuditEvent.objects.get(action="person.invite")
        assert (event.actor, event.object, event.data) == (
            "Admin",
            "new@example.com",
            {"role": "support", "agents": None},
        )
        token = self.link(answer).split("/")[3]
        assert token not in str(list(AuditEvent.objects.values_list()))

    def test_somebody_who_is_here_is_not_invited_again(self, page: Client) -> None:
        answer = page.post("/people/invite/", {**self.FORM, "email": "VIEWER@example.com"})
        assert answer.status_code == 422
        assert "viewer@example.com is here already." in text(answer).lower()

    @pytest.mark.parametrize(
        "wrong",
        [{"email": "x"}, {"email": ""}, {"role": "owner"}, {"reach": "some"}, {"reach": "some", "agents": ["agt-x"]}],
    )
    def test_a_wrong_form_is_shown_again(self, page: Client, wrong: dict[str, Any]) -> None:
        assert page.post("/people/invite/", {**self.FORM, **wrong}).status_code == 422
        assert not User.objects.filter(email="new@example.com").exists()

    def test_a_wrong_choice_between_all_agents_and_some_is_said_beside_it(self, page: Client) -> None:
        answer = page.post("/people/invite/", {**self.FORM, "reach": "nowhere"})
        assert "Select a valid choice. nowhere is not one of the available choices." in text(answer)
        assert 'aria-invalid="true" aria-describedby="id_reach_error"' in html(answer)

    @override_settings(EMAIL_URL="memory://", EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
    def test_the_link_goes_by_mail_too_where_mail_is_set_up(self, page: Client) -> None:
        answer = page.post("/people/invite/", self.FORM)
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and thread.daemon and "_send" in thread.name:
                thread.join(5)
        assert [(one.to, answer.context["link"] in one.body) for one in mail.outbox] == [(["new@example.com"], True)]


class TestALinkByMail:
    URL = "/account/password/forgotten/"

    @pytest.fixture(autouse=True)
    def outbox(self, settings: Any, db: None) -> None:
        settings.EMAIL_URL = "memory://"
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    def ask(self, email: str) -> Any:
        answer = Client().post(self.URL, {"email": email})
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and "_send" in thread.name:
                thread.join(5)
        return answer

    def test_whoever_is_here_gets_one(self) -> None:
        self.ask("Viewer@example.com")
        path = "/sign-in/" + mail.outbox[0].body.partition("/sign-in/")[2].split()[0]
        client = Client()
        client.post(path)
        assert is_in(client)

    def test_nobody_else_and_the_answer_is_the_same(self) -> None:
        User.objects.filter(email="support@example.com").update(is_active=False)
        answers = [
            self.ask(email) for email in ("viewer@example.com", "nobody@example.com", "support@example.com", "\x00")
        ]
        assert len({text(answer) for answer in answers}) == 1
        assert {answer.status_code for answer in answers} == {200}
        assert [one.to for one in mail.outbox] == [["viewer@example.com"]]

    def test_asking_often_is_slowed_down(self) -> None:
        answers = [self.ask("viewer@example.com").status_code for _ in range(8)]
        assert answers == [200] * 5 + [429] * 3

    def test_without_mail_it_says_what_to_do(self, settings: Any) -> None:
        settings.EMAIL_URL = ""
        assert "manage.py sign_in_link --email" in text(self.ask("viewer@example.com"))
        assert mail.outbox == []


class TestKeysOfSomebodyWhoLeaves:
    """The confirmation names them; they end with the person unless an admin lets them go on."""

    @pytest.fixture
    def secret(self, db: None) -> str:
        _, secret = keys.create(Actor.person(person("operator")), name="nightly", scopes=["agents:read"])
        keys.create(SYSTEM, name="somebody else's", scopes=["agents:read"])
        return secret

    def works(self, secret: str) -> bool:
        return Client().get("/api/agents/agt-ada", headers={"x-api-key": secret}).status_code == 200

    def path(self) -> str:
        return f"/people/{person('operator').pk}/deactivate/"

    def test_they_are_named_with_revoking_chosen(self, page: Client, secret: str) -> None:
        shown = text(page.get(self.path()))
        assert "nightly" in shown
        assert "somebody else's" not in shown
        assert "No API key that Viewer made still works." in text(
            page.get(f"/people/{person('viewer').pk}/deactivate/")
        )
        assert Page(page.get(self.path()).content.decode()).forms[-1].fields["keys"] == ["stop"]

    @pytest.mark.parametrize(
        ("form", "goes_on"), [({}, False), ({"keys": "stop"}, False), ({"keys": "x"}, False), ({"keys": "keep"}, True)]
    )
    def test_they_end_unless_they_shall_stay(
        self, page: Client, secret: str, form: dict[str, str], goes_on: bool
    ) -> None:
        assert self.works(secret)
        page.post(self.path(), form)
        assert self.works(secret) is goes_on
        event = AuditEvent.objects.get(action="person.deactivate")
        assert bool(event.data.get("keys_revoked")) is not goes_on
        assert AuditEvent.objects.filter(action="key.revoke", actor="Admin").exists() is not goes_on
        assert page.post(f"/people/{person('operator').pk}/reactivate/").status_code == 303
        assert self.works(secret) is goes_on

    def test_keys_of_before_know_who_made_them(self, secret: str) -> None:
        """The migration reads it from the audit log."""
        key = ApiKey.objects.get(name="nightly")
        sql("update studio_apikey set creator_id = null")
        sql(import_module("studio.migrations.0013_acting").MAKERS)
        key.refresh_from_db()
        assert key.creator == person("operator")
        assert ApiKey.objects.get(name="somebody else's").creator is None
