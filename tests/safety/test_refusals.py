"""Who was refused is in the audit log, with what and where from; an attacker can neither fill it nor stop it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from studio.audit import refusals
from studio.audit.record import Actor, NoLonger, NotWritten
from studio.keys import service as keys
from studio.models import Agent, ApiKey, AuditEvent, SignInLink, User
from studio.people import limits
from studio.people.links import new_link
from tests.reading import text
from tests.safety.test_factors import code_of
from tests.world import PASSWORD, fails, is_in, new_person, person, signed_in, sql

ADDRESS = "192.0.2.1"
EMAIL = "admin@example.com"


def visitor(address: str = ADDRESS) -> Client:
    return Client(REMOTE_ADDR=address)


def guess(client: Client, email: str = EMAIL, password: str = "a wrong secret") -> Any:
    return client.post("/sign-in/", {"login": email, "password": password})


def refused(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("id"))


def told(event: AuditEvent) -> tuple[str, str, str, str]:
    return event.object, event.data.get("how", ""), event.data.get("why", ""), event.ip


class TestSignIns:
    def test_a_wrong_password(self, admin: User) -> None:
        guess(visitor())
        (event,) = refused("refusal.sign_in")
        assert told(event) == (EMAIL, "password", "wrong", ADDRESS)
        assert (event.actor_kind, event.actor) == ("visitor", "Somebody")
        assert event.request_id

    def test_an_email_that_nobody_has(self, db: None) -> None:
        guess(visitor(), "nobody@example.com")
        assert told(refused("refusal.sign_in")[0])[:3] == ("nobody@example.com", "password", "nobody has this email")

    def test_too_many(self, admin: User) -> None:
        client = visitor()
        for _ in range(6):
            guess(client)
        assert told(refused("refusal.sign_in")[-1])[:3] == (EMAIL, "password", "too many tries")

    def test_a_deactivated_person(self, admin: User) -> None:
        User.objects.filter(pk=admin.pk).update(is_active=False)
        guess(visitor(), password=PASSWORD)
        assert told(refused("refusal.sign_in")[0])[:3] == (EMAIL, "", "deactivated")

    def test_a_wrong_code_and_a_passkey_that_is_none(self, page: Client, admin: User) -> None:
        secret = page.get("/account/factors/app/add/").context["form"].secret
        page.post("/account/factors/app/add/", {"code": code_of(secret)})
        client = visitor()
        guess(client, password=PASSWORD)
        client.post("/sign-in/factor/", {"code": "000000"})
        client.post("/sign-in/factor/", {"credential": json.dumps({"id": "x"})})
        assert [told(event)[:3] for event in refused("refusal.sign_in")] == [
            (EMAIL, "code", "wrong"),
            (EMAIL, "passkey", "wrong"),
        ]

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_links_that_are_spent_over_or_made_up(self, admin: User, method: str) -> None:
        spent, over = new_link(EMAIL), new_link(person("viewer").email)
        visitor().post(spent)
        SignInLink.objects.filter(user=person("viewer")).update(expires_at=timezone.now() - timedelta(1))
        for link in (spent, over, f"/sign-in/once/{'x' * 43}/"):
            getattr(visitor(), method)(link)
        assert [told(event)[:3] for event in refused("refusal.sign_in")] == [
            (EMAIL, "link", "used before"),
            ("viewer@example.com", "link", "expired"),
            ("", "link", "unknown"),
        ]

    def test_a_success_is_no_refusal(self, admin: User) -> None:
        guess(visitor(), password=PASSWORD)
        assert not AuditEvent.objects.filter(action__startswith="refusal.").exists()


def test_a_confirmation_that_failed(admin: User) -> None:
    client = signed_in(admin, minutes_ago=60)
    client.post("/people/invite/", {"confirm-method": "post", "confirm-password": "wrong"})
    (event,) = refused("refusal.confirm")
    assert (event.actor, event.object, event.data) == ("Admin", EMAIL, {"how": "password", "why": "wrong"})


def test_a_page_that_a_role_does_not_include(ada: Agent) -> None:
    client = signed_in(person("viewer"))
    assert client.get("/people/").status_code == 403
    assert client.get("/agents/agt-ada/connection/").status_code == 403
    first, second = refused("refusal.page")
    assert (first.actor, first.object, first.agent_id) == ("Viewer", "/people/", "")
    assert (second.actor, second.object, second.agent_id) == ("Viewer", "/agents/agt-ada/connection/", "agt-ada")


class TestAnAgentThatIsNotTheirs:
    """It looks like none, and who tried is in the log."""

    @pytest.mark.parametrize("path", ["memory/", "threads/", "edit/"])
    def test_a_person(self, ada: Agent, bruno: Agent, path: str) -> None:
        client = signed_in(new_person("admin", bruno))
        assert client.get(f"/agents/agt-ada/{path}").status_code == 404
        (event,) = refused("refusal.page")
        assert (event.actor, event.object) == ("guest@example.com", f"/agents/agt-ada/{path}")
        assert (event.agent_id, event.data["why"]) == ("agt-ada", "not theirs to see")

    @pytest.mark.parametrize("method", ["get", "patch", "delete"])
    def test_a_key(self, ada: Agent, bruno: Agent, method: str) -> None:
        key, secret = keys.create(Actor.system(), name="Nightly", scopes=["admin"], agents=[bruno])
        path = "/api/agents/agt-ada/memory" if method == "patch" else "/api/agents/agt-ada"
        answer = getattr(Client(), method)(path, {}, "application/json", headers={"x-api-key": secret})
        assert answer.status_code == 404
        (event,) = refused("refusal.page")
        assert (event.actor_id, event.object, event.agent_id) == (key.prefix, path, "agt-ada")

    def test_a_typo_is_no_event(self, ada: Agent, bruno: Agent, page: Client) -> None:
        secret = keys.create(Actor.system(), name="Nightly", scopes=["admin"], agents=[bruno])[1]
        assert Client().get("/api/agents/agt-adda", headers={"x-api-key": secret}).status_code == 404
        assert signed_in(new_person("admin", bruno)).get("/agents/agt-adda/memory/").status_code == 404
        assert page.get("/agents/agt-adda/memory/").status_code == 404
        assert not refused("refusal.page")

    def test_who_tries_all_ids_fills_nothing(self, ada: Agent, bruno: Agent) -> None:
        sql("delete from studio_try")
        client = signed_in(new_person("viewer", bruno))
        for _ in range(3 * refusals.FROM_ONE):
            client.get("/agents/agt-ada/memory/")
        assert 1 <= len(refused("refusal.page")) <= 2 * refusals.FROM_ONE

    def test_typos_before_hide_it_not_and_are_no_refusals(self, ada: Agent, bruno: Agent) -> None:
        sql("delete from studio_try")
        client = signed_in(new_person("viewer", bruno))
        for number in range(3 * refusals.FROM_ONE):
            client.get(f"/agents/agt-none{number}/memory/")
        client.get("/agents/agt-ada/memory/")
        assert len(refused("refusal.page")) == 1
        sql("update studio_try set ends_at = clock_timestamp()")
        refusals.sweep()
        assert not refused("refusal.left_out")


class TestAFormThatIsNotOurs:
    def post(self, client: Client, **headers: str) -> None:
        client.handler.enforce_csrf_checks = True
        assert client.post("/people/invite/", {"email": "x@example.com"}, headers=headers).status_code == 403

    def test_of_somebody_signed_in(self, page: Client) -> None:
        self.post(page)
        self.post(page, origin="https://evil.example")
        assert [(event.actor, event.object, event.data["why"]) for event in refused("refusal.page")] == [
            ("Admin", "/people/invite/", "form of another session"),
            ("Admin", "/people/invite/", "form of another site"),
        ]

    def test_of_a_visitor(self, db: None) -> None:
        self.post(visitor())
        (event,) = refused("refusal.page")
        assert (event.actor, event.ip) == ("Somebody", ADDRESS)

    def test_is_refused_without_a_log_too(self, page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("studio.tries.count", fails(OperationalError("x")))
        self.post(page)


class TestLinksByMail:
    @pytest.fixture(autouse=True)
    def by_mail(self, db: None, settings: Any) -> None:
        sql("delete from studio_try")
        settings.EMAIL_URL = "smtp://mail.example.com"

    def test_too_many(self, admin: User) -> None:
        for _ in range(limits.MAIL.from_one + 1):
            visitor().post("/account/password/forgotten/", {"email": EMAIL})
        assert told(refused("refusal.sign_in")[-1]) == (EMAIL, "link", "too many tries", ADDRESS)


class TestKeys:
    @pytest.fixture
    def made(self, db: None) -> tuple[ApiKey, str]:
        return keys.create(Actor.system(), name="Nightly", scopes=["agents:read"])

    def ask(self, key: str, path: str = "/api/agents/list") -> Any:
        return Client(REMOTE_ADDR=ADDRESS).get(path, headers={"x-api-key": key})

    def test_one_that_does_not_work_is_named_by_its_prefix(self, made: tuple[ApiKey, str]) -> None:
        key, secret = made
        wrong = f"{secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}"
        name = f"Nightly (ams_{key.prefix}_…)"
        self.ask(wrong)
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(1))
        self.ask(secret)
        ApiKey.objects.update(revoked_at=timezone.now())
        self.ask(secret)
        self.ask(f"ams_{'z' * 8}_{'z' * 43}")
        self.ask("hunter2")
        events = refused("refusal.key")
        assert [(event.object, event.data["why"]) for event in events] == [
            (f"ams_{key.prefix}_…", "wrong secret"),
            (name, "expired"),
            (name, "revoked"),
            ("ams_zzzzzzzz_…", "unknown"),
            ("", "not written like a key"),
        ]
        said = str(list(AuditEvent.objects.values_list()))
        assert not any(part in said for part in (secret, wrong, secret[13:], wrong[13:], "z" * 43, "hunter2"))

    def test_one_that_is_revoked_while_it_works(
        self, made: tuple[ApiKey, str], ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, secret = keys.create(Actor.system(), name="Other", scopes=["admin"])
        monkeypatch.setattr("studio.agents.provision.create_agent", fails(NoLonger()))
        body = {"name": "New"}
        answer = Client().post("/api/agents", body, "application/json", headers={"x-api-key": secret})
        assert answer.status_code == 401
        (event,) = refused("refusal.key")
        assert (event.object, event.data["why"]) == (f"Other (ams_{key.prefix}_…)", "no longer allowed")

    def test_no_key_at_all_is_nobody(self, db: None) -> None:
        assert Client().get("/api/agents/list").status_code in (401, 404)
        assert not refused("refusal.key")


class TestAnAttacker:
    @pytest.fixture(autouse=True)
    def nobody_tried(self, db: None) -> None:
        """Counts outlive tests whose transactions are committed."""
        sql("delete from studio_try")

    def flood(self, addresses: int, each: int) -> None:
        for number in range(addresses):
            for _ in range(each):
                refusals.refused(Actor("visitor", "", "Somebody", f"192.0.2.{number}"), "refusal.sign_in")

    def later(self) -> AuditEvent:
        sql("update studio_try set ends_at = clock_timestamp()")
        refusals.sweep()
        return AuditEvent.objects.get(action="refusal.left_out")

    def test_at_one_address_fills_ten_lines_a_minute_and_the_rest_is_counted(self, db: None) -> None:
        before = AuditEvent.objects.count()
        self.flood(1, 200)
        assert AuditEvent.objects.count() - before <= 2 * refusals.FROM_ONE
        written = len(refused("refusal.sign_in"))
        assert self.later().data["counts"] == {"refusals": 200 - written}
        assert self.later().data["most_from"] == ["192.0.2.0"]

    def test_at_many_addresses_fills_sixty(self, db: None) -> None:
        self.flood(100, 3)
        written = len(refused("refusal.sign_in"))
        # a minute may have ended meanwhile
        assert refusals.FROM_ALL <= written <= 2 * refusals.FROM_ALL
        assert self.later().data["counts"] == {"refusals": 300 - written}

    def test_a_home_network_is_one_address(self, db: None) -> None:
        for number in range(40):
            refusals.refused(Actor("visitor", "", "Somebody", f"2001:db8::{number:x}"), "refusal.sign_in")
        assert len(refused("refusal.sign_in")) <= 2 * refusals.FROM_ONE

    def test_the_count_is_written_once(self, db: None) -> None:
        self.flood(1, 30)
        self.later()
        refusals.sweep()
        assert AuditEvent.objects.filter(action="refusal.left_out").count() == 1

    def test_without_refusals_nothing_is_said(self, db: None) -> None:
        self.flood(2, 3)
        sql("update studio_try set ends_at = clock_timestamp()")
        refusals.sweep()
        assert not AuditEvent.objects.filter(action="refusal.left_out").exists()
        assert sql("select count(*) from studio_try") == [(0,)]

    @pytest.mark.parametrize("email", ["n\x00body@example.com", "x" * 300 + "@example.com", "\udcff@example.com"])
    def test_odd_texts_break_nothing(self, db: None, email: str) -> None:
        refusals.refused(Actor("visitor", "", "Somebody", ADDRESS), "refusal.sign_in", object=email)
        (event,) = refused("refusal.sign_in")
        assert len(event.object) <= 120
        assert event.object.isprintable() or "\ufffd" in event.object


class TestWithoutALog:
    @pytest.mark.parametrize("error", [NotWritten("x"), OperationalError("x")], ids=["not written", "no database"])
    def test_a_refusal_stays_the_same(
        self, admin: User, monkeypatch: pytest.MonkeyPatch, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        usual = guess(visitor("192.0.2.9"))
        monkeypatch.setattr("studio.audit.refusals.record", fails(error))
        client = visitor()
        answer = guess(client)
        assert (answer.status_code, text(answer)) == (usual.status_code, text(usual))
        assert signed_in(person("viewer")).get("/people/").status_code == 403
        assert not is_in(client)
        assert "not in the audit log" in caplog.text
        assert EMAIL not in caplog.text


def test_as_many_statements_whether_somebody_has_the_email_or_not(admin: User) -> None:
    def statements(email: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            guess(visitor(), email)
        return len(found)

    statements("first@example.com")
    assert statements(EMAIL) == statements("nobody@example.com")


def test_no_secret_is_in_the_log(admin: User) -> None:
    link = new_link(EMAIL)
    visitor().post(link)
    visitor().post(link)
    guess(visitor(), password="my-real-secret-typed-slightly-wrong")
    visitor().post("/sign-in/", {"login": "my real secret", "password": "x"})
    said = str(list(AuditEvent.objects.values_list()))
    assert not any(part in said for part in (link.split("/")[3], "slightly-wrong", "my real secret"))


class TestThePage:
    @pytest.fixture
    def shown(self, page: Client) -> Callable[[str], str]:
        guess(visitor(), "nobody@example.com")
        signed_in(person("viewer")).get("/people/")
        return lambda query: text(page.get(f"/audit/{query}"))

    def test_it_shows_who_where_and_what(self, shown: Callable[[str], str]) -> None:
        said = shown("")
        assert "was not signed in (password, nobody has this email): nobody@example.com" in said
        assert f"Somebody {ADDRESS}" in said
        assert "was refused: /people/" in said

    def test_it_filters_by_refusals(self, shown: Callable[[str], str]) -> None:
        assert "nobody@example.com" in shown("?kind=refusals")
        assert "nobody@example.com" not in shown("?kind=people")
        assert "nobody@example.com" in shown("?who=visitor:")
