"""People: who may come in, what they may do, and that one admin always remains."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, Grant, SignInLink, User
from studio.people import service as people
from studio.people.links import new_link
from studio.people.service import Refused
from tests.reading import links, text
from tests.rounds import rounds
from tests.world import HTMX, committed, is_in, new_person, person, signed_in

SYSTEM = Actor.system()


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

    def test_an_admin_of_one_agent_is_no_admin_of_people(self, ada: Agent) -> None:
        guest = new_person("admin", ada)
        assert signed_in(guest).get("/people/").status_code == 403


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


class TestRoles:
    def test_one_more_is_given_and_taken_at_once(self, page: Client, ada: Agent) -> None:
        user = person("viewer")
        client = signed_in(user)
        assert client.get("/agents/agt-ada/edit/").status_code == 403
        page.post(f"/people/{user.pk}/roles/add/", {"role": "admin", "agent": ada.pk})
        assert client.get("/agents/agt-ada/edit/").status_code == 200
        assert client.get("/agents/agt-bruno/edit/").status_code == 403
        grant = Grant.objects.get(user=user, role="admin")
        page.post(f"/people/{user.pk}/roles/remove/", {"grant": grant.pk})
        assert client.get("/agents/agt-ada/edit/").status_code == 403
        added, removed = AuditEvent.objects.filter(action__startswith="person.role_").order_by("id")
        assert added.agent_id == ada.pk
        assert added.data == {"changes": {"roles": ["viewer", "admin on agt-ada, viewer"]}}
        assert removed.data == {"changes": {"roles": ["admin on agt-ada, viewer", "viewer"]}}

    def test_giving_one_twice_changes_nothing(self, page: Client) -> None:
        user = person("viewer")
        page.post(f"/people/{user.pk}/roles/add/", {"role": "viewer", "agent": ""})
        assert user.grants.count() == 1
        assert not AuditEvent.objects.filter(action="person.role_add").exists()

    def test_a_role_of_somebody_else_cannot_be_taken_here(self, page: Client) -> None:
        foreign = Grant.objects.get(user=person("support"))
        page.post(f"/people/{person('viewer').pk}/roles/remove/", {"grant": foreign.pk})
        assert Grant.objects.filter(pk=foreign.pk).exists()

    @pytest.mark.parametrize("grant", ["", "x", "9" * 30, "-1", "٣"])
    def test_an_odd_number_is_no_role(self, page: Client, grant: str) -> None:
        assert page.post(f"/people/{person('viewer').pk}/roles/remove/", {"grant": grant}).status_code == 303

    def test_nobody_has_no_page(self, page: Client) -> None:
        assert page.get("/people/999999/").status_code == 404
        assert page.get(f"/people/{'9' * 40}/").status_code == 404


class TestTheLastAdmin:
    def test_they_cannot_lose_the_role(self, page: Client, admin: User) -> None:
        grant = Grant.objects.get(user=admin)
        answer = page.post(f"/people/{admin.pk}/roles/remove/", {"grant": grant.pk}, follow=True)
        assert "This is the last admin." in text(answer)
        assert Grant.objects.filter(pk=grant.pk).exists()

    def test_they_cannot_be_deactivated(self, page: Client, admin: User) -> None:
        assert "This is the last admin." in text(page.post(f"/people/{admin.pk}/deactivate/", follow=True))
        assert User.objects.get(pk=admin.pk).is_active
        assert not AuditEvent.objects.filter(action="person.deactivate").exists()

    def test_an_admin_of_one_agent_or_a_deactivated_one_does_not_count(self, admin: User, ada: Agent) -> None:
        Grant.objects.create(user=person("viewer"), role="admin", agent=ada)
        Grant.objects.create(user=User.objects.create_user("gone@example.com", is_active=False), role="admin")
        with pytest.raises(Refused):
            people.deactivate(SYSTEM, admin)

    def test_the_last_but_one_can_go(self, admin: User) -> None:
        Grant.objects.create(user=person("viewer"), role="admin")
        assert people.deactivate(SYSTEM, admin)

    @pytest.fixture
    def two_admins(self, django_db_setup: None, django_db_blocker: Any) -> Iterator[list[User]]:
        """Two admins and no third, committed; not by transaction=True, which empties tables, as the log refuses."""
        with committed(django_db_blocker):
            User.objects.filter(email="admin@example.com").update(is_active=False)
            users = [User.objects.create_user(f"{name}@example.org") for name in ("one", "two")]
            for user in users:
                Grant.objects.create(user=user, role="admin")
            try:
                yield users
            finally:
                User.objects.filter(pk__in=[user.pk for user in users]).delete()
                User.objects.filter(email="admin@example.com").update(is_active=True)

    @pytest.mark.attack
    def test_two_who_remove_each_other_at_once_leave_one(self, two_admins: list[User]) -> None:
        """Both at once, in transactions of their own."""
        for _ in range(rounds(20, 200)):
            outcomes: list[str] = []
            barrier = threading.Barrier(2)

            def remove(user: User, outcomes: list[str] = outcomes, barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                try:
                    outcomes.append("done" if people.deactivate(SYSTEM, user) else "gone")
                except Refused:
                    outcomes.append("refused")
                finally:
                    connection.close()

            threads = [threading.Thread(target=remove, args=(user,)) for user in two_admins]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(outcomes) == ["done", "refused"]
            User.objects.filter(pk__in=[user.pk for user in two_admins]).update(is_active=True)


class TestDeactivating:
    def test_it_ends_sessions_and_links_at_once_and_for_good(self, page: Client) -> None:
        user = person("viewer")
        client, link = signed_in(user), new_link(user.email)
        page.post(f"/people/{user.pk}/deactivate/")
        assert not is_in(client)
        assert Client().post(link).headers["location"] == "/sign-in/expired/"
        page.post(f"/people/{user.pk}/reactivate/")
        assert not is_in(client)
        assert Client().post(link).headers["location"] == "/sign-in/expired/"
        assert is_in(signed_in(User.objects.get(pk=user.pk)))
        actions = AuditEvent.objects.filter(object=user.email).values_list("action", flat=True)
        assert {"person.deactivate", "person.reactivate"} <= set(actions)

    def test_a_link_for_them_is_refused(self, page: Client) -> None:
        user = person("viewer")
        User.objects.filter(pk=user.pk).update(is_active=False)
        assert "Reactivate this person first." in text(page.post(f"/people/{user.pk}/link/", follow=True))

    @pytest.mark.parametrize("action", ["deactivate", "reactivate", "sign-out", "link", "roles/add", "roles/remove"])
    def test_it_is_by_post_alone(self, page: Client, action: str) -> None:
        assert page.get(f"/people/{person('viewer').pk}/{action}/").status_code == 405


class TestSigningOutEverywhere:
    def test_it_ends_every_session_of_this_person_and_no_other(self, admin: User) -> None:
        here, there, other = signed_in(admin), signed_in(admin), signed_in(person("viewer"))
        answer = here.post("/account/sign-out-everywhere/", follow=True)
        assert "You are signed out on every browser." in text(answer)
        assert [is_in(here), is_in(there), is_in(other)] == [False, False, True]
        assert AuditEvent.objects.filter(action="person.sign_out_everywhere", object=admin.email).exists()

    def test_an_admin_does_it_for_others(self, page: Client) -> None:
        client = signed_in(person("viewer"))
        page.post(f"/people/{person('viewer').pk}/sign-out/")
        assert not is_in(client)
        assert is_in(page)

    def test_it_costs_requests_no_query(self, page: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        # session; person and grants; the page's three
        with django_assert_num_queries(5):
            page.get("/agents/")


class TestSessionsEnd:
    def row(self, client: Client) -> Session:
        return Session.objects.get(session_key=client.session.session_key)

    def shift(self, client: Client, **by: float) -> None:
        row = self.row(client)
        row.expire_date -= timedelta(**by)
        row.save()

    def test_after_twelve_hours_without_use(self, page: Client) -> None:
        self.shift(page, hours=11.9)
        assert is_in(page)
        self.shift(page, hours=12.1)
        assert not is_in(page)

    def test_use_puts_the_end_off_and_writes_now_and_then_only(
        self, page: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        before = self.row(page).expire_date
        with django_assert_num_queries(5):
            page.get("/agents/")
        assert self.row(page).expire_date == before
        self.shift(page, hours=1)
        with django_assert_num_queries(6):
            page.get("/agents/")
        assert self.row(page).expire_date >= before
        with django_assert_num_queries(5):
            page.get("/agents/")

    def test_after_seven_days_in_any_case(self, page: Client) -> None:
        session = page.session
        session["began_at"] -= 7 * 86_400 - 3600
        session.save()
        assert is_in(page)
        assert self.row(page).expire_date <= timezone.now() + timedelta(hours=1)
        session["began_at"] -= 3601
        session.save()
        assert not is_in(page)

    def test_at_once_where_the_times_were_made_shorter(self, page: Client) -> None:
        session = page.session
        session["began_at"] -= 7200
        session.save()
        with override_settings(SESSION_ABSOLUTE_AGE=3600):
            assert not is_in(page)

    def test_what_was_stored_before_signing_in_does_not_make_it_shorter(self, admin: User) -> None:
        client = Client()
        session = client.session
        session["began_at"] = 0
        session.save()
        client.cookies["session"] = session.session_key or ""
        client.post("/sign-in/", {"login": admin.email, "password": "correct horse battery"})
        assert is_in(client)
