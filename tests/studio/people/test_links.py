"""Which one-time links work: a new one takes the place of older ones."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from studio.audit.record import Actor
from studio.models import Agent, SignInLink, User
from studio.people import service as people
from studio.people.links import is_somebody_in_charge, link_by_mail, new_link, redeem
from tests.rounds import rounds
from tests.world import PASSWORD, is_in, person, signed_in

EMAIL = "admin@example.com"


def works(link: str) -> bool:
    return "location" not in Client().get(link).headers


def of_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command("sign_in_link", *arguments)
    return "/sign-in/" + capsys.readouterr().out.strip().partition("/sign-in/")[2]


class TestANewOne:
    def test_of_the_command_ends_older_ones_of_that_person(
        self, admin: User, capsys: pytest.CaptureFixture[str]
    ) -> None:
        others = new_link("viewer@example.com")
        links = [of_command(capsys, "--email", EMAIL) for _ in range(3)] + [of_command(capsys)]
        assert [works(link) for link in links] == [False, False, False, True]
        assert works(others)

    def test_of_the_page_ends_older_ones(self, admin: User, page: Client) -> None:
        viewer = person("viewer")
        before = new_link(viewer.email)
        after = page.post(f"/people/{viewer.pk}/link/").context["link"]
        assert not works(before)
        assert works("/sign-in/" + after.partition("/sign-in/")[2])

    def test_leaves_an_invitation_which_leads_to_a_password(self, admin: User) -> None:
        user, invitation = people.invite(Actor.system(), email="new@example.com", name="", role="viewer", agents=None)
        new_link(user.email)
        assert works(invitation)

    def test_by_mail_which_anybody_can_ask_for_ends_none(self, admin: User) -> None:
        ours = new_link(EMAIL)
        mailed = [link_by_mail(EMAIL)[1] for _ in range(3)]
        assert all(works(link) for link in (ours, *mailed))
        new_link(EMAIL)
        assert not any(works(link) for link in (ours, *mailed))

    def test_is_the_only_one_however_many_are_made(self, admin: User) -> None:
        for _ in range(10):
            new_link(EMAIL)
        assert sum(works(f"/sign-in/once/{number:043}/") for number in range(3)) == 0
        assert (
            SignInLink.objects.filter(
                user=admin, used_at=None, expires_at__gt=SignInLink.objects.latest("id").created_at
            ).count()
            == 1
        )


def test_using_one_ends_all_others_of_that_person(admin: User) -> None:
    user, invitation = people.invite(Actor.system(), email="new@example.com", name="", role="viewer", agents=None)
    mailed = [link_by_mail(user.email)[1] for _ in range(2)]
    client = Client()
    client.post(mailed[0])
    assert is_in(client)
    assert not any(works(link) for link in (invitation, *mailed))


class TestWhoIsInCharge:
    def passwordless(self) -> None:
        for user in User.objects.filter(grants__role="admin"):
            user.set_unusable_password()
            user.save()

    def test_an_admin_with_a_password(self, admin: User) -> None:
        assert is_somebody_in_charge()

    def test_nobody_without_one(self, admin: User) -> None:
        self.passwordless()
        assert not is_somebody_in_charge()
        User.objects.update(password="")
        assert not is_somebody_in_charge()

    def test_nobody_who_is_deactivated(self, admin: User) -> None:
        User.objects.filter(pk=admin.pk).update(is_active=False)
        assert not is_somebody_in_charge()

    def test_no_admin_of_one_agent_and_no_other_role(self, admin: User, ada: Agent) -> None:
        admin.grants.update(agent=ada)
        assert person("viewer").check_password(PASSWORD)
        assert not is_somebody_in_charge()

    @pytest.mark.parametrize(("issuer", "is_known", "expected"), [("x", 1, True), ("", 1, False), ("x", 0, False)])
    def test_an_admin_whom_the_provider_has_signed_in(
        self, admin: User, settings: Any, issuer: str, is_known: int, *, expected: bool
    ) -> None:
        self.passwordless()
        settings.OIDC_ISSUER = issuer
        if is_known:
            admin.socialaccount_set.create(provider="sso", uid="u-1")
        assert is_somebody_in_charge() is expected


def test_a_link_does_not_end_the_session_of_whoever_is_in(admin: User) -> None:
    client = signed_in(admin)
    new_link(EMAIL)
    assert is_in(client)


@pytest.mark.attack
def test_of_many_who_use_a_link_at_once_one_gets_in(transactional_db: None) -> None:
    user = User.objects.create_user("once@example.org")

    def use(token: str, barrier: threading.Barrier) -> bool:
        try:
            barrier.wait()
            return redeem(token) is not None
        finally:
            connection.close()

    try:
        with ThreadPoolExecutor(6) as pool:
            for _ in range(rounds(10, 100)):
                token, barrier = new_link(user.email).strip("/").rpartition("/")[2], threading.Barrier(6)
                assert sum(pool.map(use, [token] * 6, [barrier] * 6)) == 1
    finally:
        user.delete()
