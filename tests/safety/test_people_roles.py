"""People: what they may do, and that one admin always remains."""

import threading
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from studio.models import Agent, AuditEvent, Grant, User
from studio.people import service as people
from studio.people.changing import Refused
from tests.reading import text
from tests.rounds import rounds
from tests.world import SYSTEM, person, signed_in


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
    def two_admins(self, transactional_db: None) -> Iterator[list[User]]:
        """Two admins and no third, committed."""
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
