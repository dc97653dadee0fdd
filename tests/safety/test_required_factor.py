"""A second factor that is required: whoever has none gets to the pages that add one, and to nothing else."""

import re
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.test import Client

from studio.keys import service as keys
from studio.models import Agent, AuditEvent, Grant, Policy, User
from studio.people import guard, second_factor
from studio.people.changing import Refused
from studio.people.links import new_link
from tests.reading import text
from tests.safety.routes import routes, sample
from tests.safety.test_factors import ADD, FACTOR, code_of, give_app, password
from tests.world import HTMX, PASSWORD, SYSTEM, is_in, person, signed_in, write_thread

FIRST = "/account/factors/first/"
SET = "/people/second-factor/"
# what is answered to somebody who has to add one
OPEN = {
    "account/factors/first/",
    "account/factors/app/add/",
    "account/factors/passkeys/add/",
    "account/still-allowed/<slug:mark>/",
    "sign-out/",
    *("health", "health/live", "health/ready"),
    "icons.svg",
}


def require(who: str) -> None:
    Policy.objects.update(second_factor=who)


class TestRequiring:
    def test_an_admin_with_one_decides_and_it_is_audited(self, page: Client, admin: User) -> None:
        give_app(page)
        answer = page.post(SET, {"second_factor": "everybody"}, follow=True)
        assert "A second factor is required of: everybody." in text(answer)
        assert second_factor.policy().second_factor == "everybody"
        event = AuditEvent.objects.get(action="person.factor_policy")
        assert event.data == {"changes": {"second factor required of": ["nobody", "everybody"]}}
        assert "Nothing was changed." in text(page.post(SET, {"second_factor": "everybody"}, follow=True))
        assert AuditEvent.objects.filter(action="person.factor_policy").count() == 1

    def test_somebody_without_one_cannot(self, page: Client) -> None:
        answer = page.post(SET, {"second_factor": "admins"}, follow=True)
        assert "Add a second factor to your own account first." in text(answer)
        assert second_factor.policy().second_factor == "nobody"
        assert is_in(page)

    @pytest.mark.parametrize("who", ["", "all", "EVERYBODY", "everybody\x00"])
    def test_anything_else_is_refused(self, page: Client, who: str) -> None:
        page.raise_request_exception = False
        assert page.post(SET, {"second_factor": who}).status_code == 400

    def test_it_takes_a_fresh_confirmation(self, admin: User) -> None:
        give_app(signed_in(admin))
        answer = signed_in(admin, minutes_ago=60).post(SET, {"second_factor": "everybody"})
        assert "Confirm it is you" in text(answer)
        assert second_factor.policy().second_factor == "nobody"

    def test_it_is_refused_to_the_studio_itself_only_where_nobody_has_one(self, admin: User) -> None:
        with pytest.raises(Refused):
            second_factor.require(SYSTEM, admin, "everybody")


class TestWhoIsMeant:
    @pytest.mark.parametrize(
        ("who", "meant"), [("nobody", set()), ("admins", {"admin"}), ("everybody", set(Grant.Role.values))]
    )
    def test_nobody_admins_or_everybody(self, db: None, who: str, meant: set[str]) -> None:
        require(who)
        assert {role for role in Grant.Role.values if not is_in(signed_in(person(role)))} == meant

    def test_the_admin_of_one_agent_is_an_admin(self, ada: Agent) -> None:
        require("admins")
        client = signed_in(person("viewer"))
        assert is_in(client)
        Grant.objects.create(user=person("viewer"), role="admin", agent=ada)
        assert not is_in(client)

    def test_a_recovery_code_or_a_passkey_that_is_gone_is_none(self, admin: User) -> None:
        give_app(signed_in(admin))
        require("everybody")
        assert is_in(signed_in(admin))
        Authenticator.objects.filter(type="totp").delete()
        assert Authenticator.objects.filter(type="recovery_codes").exists()
        assert not is_in(signed_in(admin))


class TestNothingElseAnswers:
    @pytest.mark.parametrize("method", ["get", "post", "put", "delete", "head", "options"])
    @pytest.mark.parametrize("headers", [{}, HTMX, {**HTMX, "HX-Boosted": "true"}], ids=["page", "htmx", "boosted"])
    def test_every_address(self, ada: Agent, method: str, headers: dict[str, str]) -> None:
        write_thread(ada, "s-1")
        require("everybody")
        client = signed_in(person("admin"))
        client.raise_request_exception = False
        before = AuditEvent.objects.count()
        for route in routes():
            if route.route in OPEN or route.route.startswith("api/"):
                continue
            path = route.path(**{**sample("agt-ada"), "user_id": str(person("viewer").pk)})
            answer = getattr(client, method)(path, headers=headers)
            to = answer.headers.get("location") or answer.headers.get("hx-redirect", "")
            # a boosted link is loaded as a whole first
            boosted = "HX-Boosted" in headers and to == path
            assert to == FIRST or boosted, (method, path, answer.status_code, to)
            assert b"agt-ada" not in answer.content or boosted
        assert AuditEvent.objects.count() == before

    def test_a_confirmation_leads_nowhere_else(self, db: None) -> None:
        require("everybody")
        client = signed_in(person("admin"), minutes_ago=60)
        form = {"confirm-method": "post", "confirm-password": PASSWORD, "role": "admin", "agent": ""}
        assert client.post(f"/people/{person('viewer').pk}/roles/add/", form).headers["location"] == FIRST

    def test_the_pages_that_add_one_show_no_agent(self, ada: Agent) -> None:
        require("everybody")
        client = signed_in(person("admin"))
        for path in (FIRST, ADD, "/account/factors/passkeys/add/"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "Ada's agent" not in text(answer)

    def test_a_page_that_is_kept_is_not_shown_again(self, admin: User) -> None:
        client = signed_in(admin)
        (mark,) = re.findall(r'data-still-allowed="([^"]+)"', client.get("/agents/").content.decode())
        assert client.get(mark).status_code == 204
        require("everybody")
        assert client.get(mark).status_code == 401

    def test_what_is_in_flight_when_it_is_required_is_refused(
        self, page: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        actor_of = guard.actor_of
        monkeypatch.setattr(guard, "actor_of", lambda request: (actor_of(request), require("everybody"))[0])
        assert page.post(f"/people/{person('viewer').pk}/sign-out/").status_code == 403
        assert not AuditEvent.objects.filter(action="person.sign_out_everywhere").exists()

    def test_api_keys_go_on(self, admin: User) -> None:
        _, key = keys.create(guard.Actor.person(admin), name="k", scopes=["agents:read"])
        require("everybody")
        assert Client().get("/api/agents/agt-ada", headers={"x-api-key": key}).status_code == 200
        assert signed_in(admin).get("/api/agents/agt-ada", headers={"x-api-key": key}).status_code == 200


class TestNobodyIsLockedOut:
    def add(self, client: Client) -> Any:
        page = client.get(ADD)
        return client.post(ADD, {"code": code_of(page.context["form"].secret)})

    def test_signing_in_leads_to_adding_one_and_then_on(self, admin: User) -> None:
        require("everybody")
        client = Client()
        answer = client.post("/sign-in/", {"login": admin.email, "password": PASSWORD}, follow=True)
        assert answer.redirect_chain[-1][0] == FIRST
        assert "Add a second factor" in text(answer)
        assert self.add(client).status_code == 302
        assert is_in(client)
        assert client.get(FIRST).headers["location"] == "/account/"

    def test_a_link_does_too_for_somebody_without_a_password(self, db: None) -> None:
        require("everybody")
        user = person("viewer")
        user.set_unusable_password()
        user.save()
        client = Client()
        assert client.post(new_link(user.email), follow=True).redirect_chain[-1][0] == FIRST
        assert self.add(client).status_code == 302
        assert is_in(client)

    def test_signing_out_works(self, db: None) -> None:
        require("everybody")
        client = signed_in(person("viewer"))
        assert client.post("/sign-out/").status_code == 302
        assert client.get(FIRST).headers["location"].startswith("/sign-in/")

    def test_whoever_lost_theirs_gets_in_by_the_commands(self, admin: User) -> None:
        give_app(signed_in(admin))
        require("everybody")
        call_command("remove_factors", admin.email, stdout=StringIO())
        client = Client()
        assert client.post(new_link(admin.email), follow=True).redirect_chain[-1][0] == FIRST
        assert self.add(client).status_code == 302
        assert is_in(client)

    def test_the_second_step_is_asked_for_as_ever(self, admin: User) -> None:
        secret = give_app(signed_in(admin))
        require("everybody")
        client = Client()
        assert password(client).headers["location"] == FACTOR
        assert client.get(FIRST).headers["location"].startswith("/sign-in/")
        client.post(FACTOR, {"code": code_of(secret)})
        assert is_in(client)


class TestTheLastOneStays:
    REMOVE = "/account/factors/app/remove/"

    def passkey(self, user: User) -> Authenticator:
        return Authenticator.objects.create(user=user, type="webauthn", data={"name": "Key", "credential": {}})

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_it_cannot_be_removed_while_it_is_required(self, page: Client, admin: User, method: str) -> None:
        give_app(page)
        require("admins")
        answer = getattr(page, method)(self.REMOVE, follow=True)
        assert "Add another one first." in text(answer)
        assert Authenticator.objects.filter(type="totp").exists()
        assert not AuditEvent.objects.filter(action="person.factor_remove").exists()

    def test_one_of_two_can(self, page: Client, admin: User) -> None:
        give_app(page)
        self.passkey(admin)
        require("admins")
        page.post(self.REMOVE)
        assert not Authenticator.objects.filter(type="totp").exists()
        assert is_in(page)

    def test_a_passkey_stays_too(self, page: Client, admin: User) -> None:
        key = self.passkey(admin)
        require("admins")
        page.post(f"/account/factors/passkeys/{key.pk}/remove/")
        assert Authenticator.objects.filter(pk=key.pk).exists()

    def test_where_none_is_required_it_goes(self, page: Client, admin: User) -> None:
        give_app(page)
        page.post(self.REMOVE)
        assert not Authenticator.objects.filter(type="totp").exists()
