"""API keys: how they are kept, made, shown once, and revoked."""

import hashlib
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent, ApiKey, AuditEvent, User
from tests.reading import form_with, text
from tests.world import person, signed_in

LIST, NEW = "/keys/", "/keys/new/"
KEY = re.compile(r"ams_[a-z0-9]{8}_[A-Za-z0-9]{43}")


def make(name: str = "ci", *, days: int | None = None, agents: list[Agent] | None = None) -> tuple[ApiKey, str]:
    return keys.create(Actor.system(), name=name, scopes=["agents:read"], agents=agents, days=days)


class TestService:
    def test_only_a_hash_of_the_secret_is_kept(self, db: None) -> None:
        key, made = make()
        assert KEY.fullmatch(made)
        secret = made.rpartition("_")[2]
        key.refresh_from_db()
        assert key.hash == hashlib.sha256(secret.encode()).hexdigest()
        assert secret not in str(vars(key))

    def test_no_two_are_alike(self, db: None) -> None:
        assert len({make()[1] for _ in range(20)}) == 20

    def test_it_is_found_by_its_text_alone(self, db: None) -> None:
        key, made = make()
        make()
        assert keys.authenticate(made) == key

    def test_its_last_use_is_noted_once_a_minute(
        self, db: None, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        _, made = make()
        keys.authenticate(made)
        first = ApiKey.objects.get().last_used_at
        assert first
        with django_assert_num_queries(1):
            keys.authenticate(made)
        ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
        with django_assert_num_queries(2):
            keys.authenticate(made)
        assert (ApiKey.objects.get().last_used_at or first) >= first

    def test_making_and_revoking_are_events_without_the_secret(self, ada: Agent) -> None:
        key, made = make(agents=[ada], days=7)
        assert keys.revoke(Actor.system(), key)
        assert not keys.revoke(Actor.system(), key)
        created, revoked = AuditEvent.objects.filter(action__startswith="key.").order_by("id")
        assert (created.action, created.data) == (
            "key.create",
            {"scopes": ["agents:read"], "agents": ["agt-ada"], "days": 7},
        )
        assert (revoked.action, revoked.object) == ("key.revoke", f"ci (ams_{key.prefix}_…)")
        assert made.rpartition("_")[2] not in str([vars(created), vars(revoked)])

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": "  "},
            {"name": "x" * 81},
            {"scopes": []},
            {"scopes": ["agents:read", "root"]},
            {"scopes": ["threads:export"]},
            {"agents": []},
            {"days": 0},
            {"days": -1},
            {"days": 3651},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, db: None, wrong: dict[str, object]) -> None:
        asked = {"name": "ci", "scopes": ["agents:read"], **wrong}
        with pytest.raises(keys.Invalid):
            keys.create(Actor.system(), **asked)  # type: ignore[arg-type]
        assert not ApiKey.objects.exists()

    def test_a_key_for_an_agent_that_is_removed_does_not_widen(self, bruno: Agent) -> None:
        _, made = make(agents=[bruno])
        bruno.delete()
        key = keys.authenticate(made)
        assert key
        assert keys.access_of(key).scopes("agt-ada") == frozenset()
        assert keys.access_of(key).agent_ids == []

    def test_a_key_does_not_pass_for_a_person(self, admin: User) -> None:
        key, _ = make(name=str(admin))
        assert keys.actor_of(key).name != Actor.person(admin).name

    def test_counting_starts_again_each_minute(self, db: None) -> None:
        key, _ = make()
        assert [keys.seconds_to_wait(key, 2) > 0 for _ in range(4)][-1]
        with connection.cursor() as cursor:
            cursor.execute("update studio_keyrate set minute = minute - 1")
        assert keys.seconds_to_wait(key, 2) == 0


class TestList:
    def test_it_shows_what_each_key_may_do_where_and_how_long(self, page: Client, ada: Agent) -> None:
        make("everywhere")
        make("only ada", days=7, agents=[ada])
        shown = text(page.get(LIST))
        assert "everywhere" in shown
        assert "only ada" in shown
        assert "Ada's agent" in shown
        assert "agents:read" in shown
        assert "made by Agent Studio" in shown

    def test_it_shows_no_secret(self, page: Client) -> None:
        _, made = make()
        shown = page.get(LIST).content.decode()
        assert made.rpartition("_")[2] not in shown
        assert made.rpartition("_")[0] in shown

    def test_ended_keys_are_apart(self, page: Client) -> None:
        key, _ = make("gone")
        keys.revoke(Actor.system(), key)
        make("over", days=1)
        ApiKey.objects.filter(name="over").update(expires_at=timezone.now())
        shown = text(page.get(LIST))
        assert "No keys in use" in shown
        assert "Revoked or expired: 2" in shown

    def test_a_name_is_text(self, page: Client) -> None:
        make("<script>alert(1)</script>")
        assert b"<script>alert(1)" not in page.get(LIST).content

    def test_it_costs_the_same_for_many_keys(
        self, page: Client, ada: Agent, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(30):
            make(f"key {number}", agents=[ada])
        with django_assert_max_num_queries(8):
            page.get(LIST)


class TestNew:
    def ask(self, page: Client, **values: object) -> Any:
        return page.post(NEW, {"name": "ci", "scopes": ["agents:read"], "reach": "all", "days": "90", **values})

    def test_the_key_is_in_the_answer_and_nowhere_again(self, page: Client, admin: User) -> None:
        answer = self.ask(page)
        (made, *more) = KEY.findall(answer.content.decode())
        assert set(more) <= {made}
        assert answer.status_code == 201
        assert "no-store" in answer["Cache-Control"]
        assert keys.authenticate(made)
        assert not KEY.search(page.get(LIST).content.decode())
        assert ApiKey.objects.get().created_by == str(admin)

    def test_it_is_as_the_form_says(self, page: Client, ada: Agent) -> None:
        self.ask(page, scopes=["connect", "agents:read"], reach="some", agents=["agt-ada"], days="30")
        key = ApiKey.objects.get()
        assert (key.scopes, key.all_agents, [agent.pk for agent in key.agents.all()]) == (
            ["agents:read", "connect"],
            False,
            ["agt-ada"],
        )
        assert key.expires_at
        assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)

    def test_it_says_in_a_sentence_what_it_has(self, page: Client, ada: Agent) -> None:
        one = text(self.ask(page, scopes=["connect"], days=""))
        assert "It has the scope connect. Lost keys cannot be shown again" in one
        three = text(self.ask(page, scopes=["connect", "agents:read", "threads:read"], days="30"))
        assert "It has the scopes agents:read, threads:read and connect until " in three

    def test_it_may_be_valid_without_an_end(self, page: Client) -> None:
        self.ask(page, days="")
        assert ApiKey.objects.get().expires_at is None

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"name": " "}, "This field is required."),
            ({"scopes": []}, "Choose at least one."),
            ({"scopes": ["root"]}, "Select a valid choice"),
            ({"reach": "some"}, "Choose at least one agent, or all of them."),
            ({"reach": "some", "agents": ["agt-nobody"]}, "Select a valid choice"),
            ({"reach": "nowhere"}, "Select a valid choice"),
            ({"days": "100000"}, "Select a valid choice"),
        ],
    )
    def test_a_mistake_is_said_beside_its_field(self, page: Client, wrong: dict[str, object], said: str) -> None:
        answer = self.ask(page, **wrong)
        assert answer.status_code == 422
        assert said in text(answer)
        assert not ApiKey.objects.exists()

    def test_the_form_offers_what_the_sdk_needs(self, page: Client) -> None:
        form = form_with(page.get(NEW), "scopes")
        assert form.fields["scopes"] == ["agents:read", "connect"]
        assert form.fields["days"] == ["90"]


class TestRevoke:
    def test_it_asks_first_and_then_ends_the_key(self, page: Client) -> None:
        key, made = make()
        address = reverse("key-revoke", args=[key.prefix])
        assert "Revoke ci?" in text(page.get(address))
        assert keys.authenticate(made)
        assert page.post(address).headers["location"] == LIST
        assert keys.authenticate(made) is None
        assert "Revoked ci." in text(page.get(LIST))

    def test_a_second_time_says_so(self, page: Client) -> None:
        key, _ = make()
        address = reverse("key-revoke", args=[key.prefix])
        page.post(address)
        assert "It was revoked" in text(page.get(address))
        assert "was revoked before" in text(page.post(address, follow=True))
        assert AuditEvent.objects.filter(action="key.revoke").count() == 1

    @pytest.mark.parametrize("prefix", ["nothing", "0", "x" * 300])
    def test_an_unknown_key_is_not_found(self, page: Client, prefix: str) -> None:
        assert page.get(f"/keys/{prefix}/revoke/").status_code == 404


@pytest.mark.parametrize("address", [LIST, NEW, "/keys/abcdefgh/revoke/"])
class TestEveryPage:
    def test_it_asks_strangers_to_sign_in(self, db: None, address: str) -> None:
        assert Client().get(address).headers["location"] == f"/sign-in/?next={address}"

    @pytest.mark.parametrize("role", ["viewer", "support", "operator", "privacy"])
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_it_is_for_admins(self, db: None, address: str, role: str, method: str) -> None:
        client = signed_in(person(role))
        assert getattr(client, method)(address).status_code in ({405} if (method, address) == ("post", LIST) else {403})

    def test_a_form_of_another_site_changes_nothing(self, admin: User, address: str) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(admin)
        answer = browser.post(address, {"name": "x", "scopes": ["admin"], "reach": "all"})
        assert answer.status_code in (403, 405)
        assert not ApiKey.objects.exists()


class TestCommand:
    def run(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command("api_key", "create", "--name", "ci", *arguments, stdout=out)
        return out.getvalue()

    def test_it_prints_the_key_alone_on_the_last_line(self, ada: Agent) -> None:
        said = self.run("--scope", "agents:read", "--scope", "connect", "--agent", "agt-ada", "--days", "7")
        key = keys.authenticate(said.splitlines()[-1])
        assert key
        assert key.scopes == ["agents:read", "connect"]
        assert keys.access_of(key).agent_ids == ["agt-ada"]
        assert AuditEvent.objects.get(action="key.create").actor == "Agent Studio"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--scope", "agents:read", "--agent", "agt-nobody"], "There is no agent agt-nobody."),
            (["--scope", "agents:read", "--days", "0"], "A key is valid for 1 to 3,650 days"),
            (["--scope", "root"], "invalid choice"),
            ([], "--scope"),
        ],
    )
    def test_a_mistake_is_one_sentence(self, db: None, arguments: list[str], said: str) -> None:
        with pytest.raises(CommandError, match=re.escape(said)):
            self.run(*arguments)
        assert not ApiKey.objects.exists()


def test_the_limit_is_a_setting(settings: LazySettings) -> None:
    assert settings.API_REQUESTS_PER_MINUTE == 600
