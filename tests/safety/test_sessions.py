"""People: when their sessions end."""

import re
from datetime import timedelta

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from studio.models import AuditEvent, Grant, Session, User
from studio.people import sessions
from studio.people.links import new_link
from tests.markup import Page
from tests.reading import text
from tests.world import is_in, person, signed_in


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


class TestThePersonWhoIsReadWithTheSession:
    """Whose a session is is guessed from its last request; the guess must never decide anything."""

    def guess(self, client: Client, user: User) -> None:
        assert client.session.session_key
        sessions._owners[client.session.session_key] = user.pk

    def test_a_wrong_guess_makes_nobody_somebody_else(self, page: Client, admin: User) -> None:
        viewer = person("viewer")
        client = signed_in(viewer)
        for other in (admin, viewer, person("support"), admin):
            self.guess(client, other)
            assert client.get("/people/").status_code == 403
            assert viewer.email in text(client.get("/account/"))
        self.guess(page, viewer)
        assert page.get("/people/").status_code == 200

    def test_a_guess_signs_nobody_in(self, admin: User) -> None:
        client = Client()
        session = client.session
        session["anything"] = 1
        session.save()
        client.cookies["session"] = session.session_key or ""
        self.guess(client, admin)
        assert not is_in(client)

    @pytest.mark.parametrize(
        "change",
        [{"session_epoch": 1}, {"password": "another"}, {"is_active": False}],
        ids=["signed out everywhere", "another password", "deactivated"],
    )
    def test_what_ends_sessions_ends_them_at_once(self, admin: User, change: dict[str, object]) -> None:
        client = signed_in(admin)
        assert is_in(client)
        assert is_in(client)
        User.objects.filter(pk=admin.pk).update(**change)
        assert not is_in(client)

    def test_a_role_that_was_taken_away_is_gone_at_once(self, page: Client, admin: User) -> None:
        Grant.objects.create(user=person("viewer"), role="admin")
        assert page.get("/people/").status_code == 200
        assert page.get("/people/").status_code == 200
        admin.grants.all().delete()
        assert page.get("/people/").status_code == 403

    def test_a_session_that_is_gone_is_gone(self, page: Client) -> None:
        assert is_in(page)
        Session.objects.filter(session_key=page.session.session_key).delete()
        assert not is_in(page)

    def test_guesses_do_not_pile_up(self, page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sessions, "_MOST_OWNERS", 3)
        for _ in range(8):
            assert is_in(signed_in(person("viewer")))
        assert len(sessions._owners) <= 3


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
        # the person comes with the session where somebody had it before
        with django_assert_num_queries(4):
            page.get("/agents/")


def test_a_cookie_that_was_copied_is_nothing_after_signing_out(admin: User) -> None:
    client, thief = signed_in(admin), Client()
    thief.cookies["session"] = client.cookies["session"].value
    assert is_in(thief)
    client.post("/sign-out/")
    assert not is_in(thief)
    assert not is_in(client)


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
        page.get("/agents/")
        before = self.row(page).expire_date
        with django_assert_num_queries(4):
            page.get("/agents/")
        assert self.row(page).expire_date == before
        self.shift(page, hours=1)
        with django_assert_num_queries(5):
            page.get("/agents/")
        assert self.row(page).expire_date >= before
        with django_assert_num_queries(4):
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


class TestOnesOwn:
    """The page that lists them: where somebody is signed in, and how to end what should not be."""

    PAGE = "/account/sessions/"
    FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"

    def browser(self, agent: str, user: User | None = None, ip: str = "10.0.0.9") -> Client:
        client = Client(headers={"user-agent": agent}, REMOTE_ADDR=ip)
        form = {"login": (user or person("admin")).email, "password": "correct horse battery"}
        assert client.post("/sign-in/", form).status_code == 302
        return client

    def marks(self, client: Client) -> list[str]:
        return [
            form.fields["session"][0]
            for form in Page(client.get(self.PAGE).content.decode()).forms
            if "session" in form.fields
        ]

    def test_it_says_from_where_and_which_is_this_one(self, admin: User) -> None:
        here, _ = self.browser(self.FIREFOX), self.browser(self.IPHONE, ip="2001:db8::7")
        self.browser(self.FIREFOX, person("viewer"), "10.9.9.9")
        shown = text(here.get(self.PAGE))
        assert re.search(r"Firefox on Linux this one signed in .* from 10\.0\.0\.9", shown)
        assert re.search(r"Safari on iPhone signed in .* from 2001:db8::7 · used", shown)
        assert "10.9.9.9" not in shown

    def test_no_key_of_a_session_is_on_it(self, admin: User) -> None:
        here, there = self.browser(self.FIREFOX), self.browser(self.IPHONE)
        html = here.get(self.PAGE).content.decode()
        assert not any(client.session.session_key in html for client in (here, there))

    def test_one_is_ended(self, admin: User) -> None:
        here, there, third = (self.browser(agent) for agent in (self.FIREFOX, self.IPHONE, self.IPHONE))
        mark = there_mark = Session.objects.get(session_key=there.session.session_key).mark
        assert mark in self.marks(here)
        answer = here.post("/account/sessions/end/", {"session": there_mark}, follow=True)
        assert "That session has ended." in text(answer)
        assert [is_in(one) for one in (here, there, third)] == [True, False, True]
        event = AuditEvent.objects.get(action="person.sign_out_one")
        assert event.data == {"browser": "Safari on iPhone", "address": "10.0.0.9"}
        again = here.post("/account/sessions/end/", {"session": there_mark}, follow=True)
        assert "ended already" in text(again)

    @pytest.mark.parametrize("mark", ["", "x", "0" * 20, "\x00"])
    def test_an_unknown_one_ends_nothing(self, page: Client, mark: str) -> None:
        page.post("/account/sessions/end/", {"session": mark})
        assert is_in(page)
        assert not AuditEvent.objects.filter(action="person.sign_out_one").exists()

    def test_somebody_elses_cannot_be_ended(self, page: Client) -> None:
        other = self.browser(self.FIREFOX, person("viewer"))
        row = Session.objects.get(session_key=other.session.session_key)
        for given in (row.mark, row.session_key):
            page.post("/account/sessions/end/", {"session": given})
        assert is_in(other)

    def test_all_others_are_ended_and_this_one_goes_on(self, admin: User) -> None:
        here, there = self.browser(self.FIREFOX), self.browser(self.IPHONE)
        viewer, old = self.browser(self.FIREFOX, person("viewer")), signed_in(admin)
        # of before the upgrade: nobody noted whose it is
        Session.objects.filter(session_key=old.session.session_key).update(user=None)
        answer = here.post("/account/sessions/end-others/", follow=True)
        assert "You are signed out on every other browser." in text(answer)
        assert [is_in(one) for one in (here, there, old, viewer)] == [True, False, False, True]
        assert self.marks(here) == []
        event = AuditEvent.objects.get(action="person.sign_out_others")
        assert {"browser": "Safari on iPhone", "address": "10.0.0.9"} in event.data["sessions"]

    def test_one_of_before_the_upgrade_is_listed_once_it_is_used(self, page: Client) -> None:
        Session.objects.update(user=None, used_at=None, began_at=None)
        is_in(page)
        assert "this one" in text(page.get(self.PAGE))

    def test_an_admin_sees_how_many(self, page: Client) -> None:
        viewer = person("viewer")
        assert "Signed in nowhere now." in text(page.get(f"/people/{viewer.pk}/"))
        for agent in (self.FIREFOX, self.IPHONE):
            self.browser(agent, viewer)
        assert "Signed in on 2 browsers now." in text(page.get(f"/people/{viewer.pk}/"))

    @pytest.mark.parametrize("agent", ["", "x" * 4000, "<script>alert(1)</script>", "\x01\x7f", "Firefox/ \u00ff"])
    def test_an_odd_browser_is_listed_as_well(self, admin: User, agent: str) -> None:
        client = self.browser(agent)
        shown = client.get(self.PAGE)
        assert shown.status_code == 200
        assert b"<script>alert" not in shown.content
        assert "this one" in text(shown)
