"""Second factors: enforced at each way of signing in, changed only after confirming, encrypted at rest."""

import json
import time
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.cache import cache
from django.test import Client

from studio.models import AuditEvent, Session, User
from studio.people.links import new_link
from tests.reading import text
from tests.world import PASSWORD, is_in, person, signed_in, sql

ADD = "/account/factors/app/add/"
FACTOR = "/sign-in/factor/"


def code_of(secret: str, *, steps: int = 0) -> str:
    """What an app shows now; `steps` of 30 s later, or earlier, by its own clock."""
    counters = list(yield_hotp_counters_from_time())
    return str(format_hotp_value(hotp_value(secret, counters[len(counters) // 2] + steps)))


def again() -> None:
    """Forget which codes were used, so that a test may use the same one again."""
    cache.clear()


def later(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Let so much time pass, for codes and for what is kept of them."""
    now = time.time() + seconds
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now))
    sql("update studio_cache set expires = expires - make_interval(secs => %s)", seconds)


@pytest.fixture
def secret(page: Client, admin: User) -> str:
    """The admin's app, added through the pages."""
    return give_app(page)


def give_app(client: Client) -> str:
    secret: str = client.get(ADD).context["form"].secret
    assert client.post(ADD, {"code": code_of(secret)}).status_code == 302
    again()
    return secret


def password(client: Client) -> Any:
    return client.post("/sign-in/", {"login": "admin@example.com", "password": PASSWORD})


class TestSigningIn:
    def test_a_password_alone_is_not_enough(self, secret: str) -> None:
        client = Client()
        assert password(client).headers["location"] == FACTOR
        assert not is_in(client)
        assert client.post(FACTOR, {"code": "000000"}).status_code == 200
        assert not is_in(client)
        assert client.post(FACTOR, {"code": code_of(secret)}).status_code == 302
        assert is_in(client)
        event = AuditEvent.objects.filter(action="person.sign_in").latest("id")
        assert event.data == {"how": "password, second factor"}

    def test_a_link_alone_is_not_enough(self, secret: str) -> None:
        client = Client()
        assert client.post(new_link("admin@example.com")).headers["location"] == FACTOR
        assert not is_in(client)
        assert client.get("/account/password/").status_code == 302
        client.post(FACTOR, {"code": code_of(secret)})
        assert is_in(client)
        event = AuditEvent.objects.filter(action="person.sign_in").latest("id")
        assert event.data == {"how": "link, second factor"}

    def test_a_code_works_once(self, secret: str) -> None:
        code, first, second = code_of(secret), Client(), Client()
        password(first)
        first.post(FACTOR, {"code": code})
        password(second)
        second.post(FACTOR, {"code": code})
        assert is_in(first)
        assert not is_in(second)

    def test_guessing_is_slowed_down(self, secret: str) -> None:
        client = Client()
        password(client)
        for _ in range(6):
            answer = client.post(FACTOR, {"code": "000000"})
        assert "Too many" in text(answer)
        client.post(FACTOR, {"code": code_of(secret)})
        assert not is_in(client)

    def test_a_recovery_code_works_once(self, page: Client, secret: str) -> None:
        codes = page.get("/account/factors/codes/").context["unused_codes"]
        assert len(codes) == 10
        for expected in (True, False):
            client = Client()
            password(client)
            client.post(FACTOR, {"code": codes[0]})
            assert is_in(client) is expected

    def test_the_factors_page_needs_a_first_step(self, db: None) -> None:
        assert Client().get(FACTOR).headers["location"] == "/sign-in/"

    def test_deactivating_meanwhile_keeps_them_out(self, secret: str, admin: User) -> None:
        client = Client()
        password(client)
        User.objects.filter(pk=admin.pk).update(is_active=False)
        client.post(FACTOR, {"code": code_of(secret)})
        assert not is_in(client)


class TestACodeWorksOnce:
    """For as long as it is good, which is 90 s: an app's clock may be 30 s ahead, or behind."""

    CONFIRM = "/account/factors/codes/new/"

    def takes(self, where: str, admin: User, code: str) -> bool:
        """Give a code where one is taken; tell whether it was."""
        if where == "sign in":
            client = Client()
            password(client)
            client.post(FACTOR, {"code": code})
            return is_in(client)
        stale = signed_in(admin, minutes_ago=60)
        answer = stale.post(self.CONFIRM, {"confirm-method": "get", "confirm-code": code})
        return bool(answer.status_code == 303)

    @pytest.mark.parametrize("seconds", [0, 31, 59])
    @pytest.mark.parametrize("then", ["sign in", "confirm"])
    @pytest.mark.parametrize("first", ["sign in", "confirm"])
    def test_wherever_it_was_given(
        self, secret: str, admin: User, monkeypatch: pytest.MonkeyPatch, first: str, then: str, seconds: int
    ) -> None:
        early = code_of(secret, steps=1)
        assert self.takes(first, admin, early)
        later(monkeypatch, seconds)
        assert auth.validate_totp_code(secret, early)
        for written in (early, f"{early[:3]} {early[3:]}", f"-{early}-"):
            assert not self.takes(then, admin, written)
        # another one is taken
        assert self.takes(then, admin, code_of(secret, steps=1 if seconds else 0))

    @pytest.mark.parametrize("seconds", [0, 31, 59])
    def test_also_the_one_by_which_the_app_was_added(
        self, page: Client, admin: User, monkeypatch: pytest.MonkeyPatch, seconds: int
    ) -> None:
        secret = page.get(ADD).context["form"].secret
        early = code_of(secret, steps=1)
        page.post(ADD, {"code": early})
        later(monkeypatch, seconds)
        assert auth.validate_totp_code(secret, early)
        assert not self.takes("sign in", admin, early)
        assert not self.takes("confirm", admin, early)

    def test_at_the_same_moment_too(self, secret: str, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever reads what is used before the other has written it."""
        codes = signed_in(admin).get("/account/factors/codes/").context["unused_codes"]
        stored = Authenticator.objects.get(type="recovery_codes").data
        assert self.takes("sign in", admin, codes[0])
        Authenticator.objects.filter(type="recovery_codes").update(data=stored)
        assert not self.takes("sign in", admin, codes[0])


class TestChanging:
    def test_adding_is_confirmed_and_audited(self, admin: User) -> None:
        assert "Confirm it is you" in text(signed_in(admin, minutes_ago=60).get(ADD))
        client = signed_in(admin)
        client.post(ADD, {"code": code_of(client.get(ADD).context["form"].secret)})
        event = AuditEvent.objects.get(action="person.factor_add")
        assert (event.object, event.data["factor"]) == (admin.email, "authenticator app")

    def test_confirming_leads_on_to_the_page(self, admin: User) -> None:
        client = signed_in(admin, minutes_ago=60)
        answer = client.post(ADD, {"confirm-method": "get", "confirm-password": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, ADD)
        assert "Scan the picture" in text(client.get(ADD))

    def test_a_wrong_code_adds_nothing(self, page: Client) -> None:
        page.get(ADD)
        assert "field-error" in page.post(ADD, {"code": "12"}).content.decode()
        assert not Authenticator.objects.exists()
        assert not AuditEvent.objects.filter(action="person.factor_add").exists()

    def test_removing_takes_the_codes_too(self, page: Client, secret: str) -> None:
        page.post("/account/factors/app/remove/")
        assert not Authenticator.objects.exists()
        assert AuditEvent.objects.filter(action="person.factor_remove").count() == 1
        client = Client()
        password(client)
        assert is_in(client)

    def test_an_admin_takes_away_what_somebody_lost(self, secret: str, admin: User) -> None:
        other = User.objects.create_user("other@example.com", PASSWORD)
        other.grants.create(role="admin")
        client = signed_in(other)
        assert "authenticator app as second factor" in text(client.get(f"/people/{admin.pk}/"))
        assert client.post(f"/people/{admin.pk}/factors/remove/").status_code == 303
        assert not Authenticator.objects.filter(user=admin).exists()
        event = AuditEvent.objects.get(action="person.factor_remove")
        assert (event.actor, event.object) == ("other@example.com", admin.email)

    @pytest.mark.parametrize("part", ["rename", "remove"])
    def test_somebody_elses_passkey_is_not_there(self, page: Client, part: str) -> None:
        owner = person("viewer")
        key = Authenticator.objects.create(user=owner, type="webauthn", data={"name": "k", "credential": {}})
        assert page.get(f"/account/factors/passkeys/{key.pk}/{part}/").status_code == 404
        assert page.post(f"/account/factors/passkeys/{key.pk}/{part}/", {"name": "x"}).status_code == 404
        assert Authenticator.objects.filter(pk=key.pk).exists()

    def test_codes_are_shown_once(self, page: Client, secret: str) -> None:
        first = page.get("/account/factors/codes/")
        codes = first.context["unused_codes"]
        assert codes[0] in text(first)
        assert not any(code in text(page.get("/account/factors/codes/")) for code in codes)
        page.post("/account/factors/codes/new/")
        new = page.get("/account/factors/codes/").context["unused_codes"]
        assert set(new).isdisjoint(codes)
        assert AuditEvent.objects.filter(action="person.factor_codes").count() == 1

    def test_a_code_confirms_too(self, secret: str, admin: User) -> None:
        client = signed_in(admin, minutes_ago=60)
        viewer = person("viewer")
        url = f"/people/{viewer.pk}/sign-out/"
        assert client.post(url, {"confirm-method": "post", "confirm-code": "000000"}).status_code == 422
        assert client.post(url, {"confirm-method": "post", "confirm-code": code_of(secret)}).status_code == 303


class TestOtherSessions:
    """They end with a change of factors, as they may be why it is made."""

    def change(self, page: Client, admin: User, what: str) -> Any:
        key = Authenticator.objects.create(user=admin, type="webauthn", data={"name": "k", "credential": {}})
        if what == "add an app":
            return page.post(ADD, {"code": code_of(page.get(ADD).context["form"].secret)}, follow=True)
        give_app(page)
        path = {
            "remove the app": "app/remove/",
            "make codes": "codes/new/",
            "remove a passkey": f"passkeys/{key.pk}/remove/",
            "rename a passkey": f"passkeys/{key.pk}/rename/",
        }[what]
        return self.ask(page, path)

    def ask(self, page: Client, path: str) -> Any:
        self.other = signed_in(person("admin"))
        return page.post(f"/account/factors/{path}", {"name": "new"}, follow=True)

    @pytest.mark.parametrize("what", ["add an app", "remove the app", "make codes", "remove a passkey"])
    def test_they_end_and_the_page_says_so(self, page: Client, admin: User, what: str) -> None:
        # tests before may have left some of this person's
        Session.objects.exclude(session_key=page.session.session_key).delete()
        self.other, viewer = signed_in(admin), signed_in(person("viewer"))
        answer = self.change(page, admin, what)
        assert "Your other browsers are signed out." in text(answer)
        assert [is_in(one) for one in (page, self.other, viewer)] == [True, False, True]
        event = AuditEvent.objects.filter(action__startswith="person.factor").latest("id")
        assert len(event.data["sessions_ended"]) == 1

    def test_a_new_name_ends_none(self, page: Client, admin: User) -> None:
        self.change(page, admin, "rename a passkey")
        assert Authenticator.objects.get(type="webauthn").data["name"] == "new"
        assert is_in(self.other)

    def test_nor_does_what_is_wrong(self, page: Client, admin: User) -> None:
        other = signed_in(admin)
        page.get(ADD)
        page.post(ADD, {"code": "12"})
        give_app(page)
        other = signed_in(admin)
        # one is there already
        page.post(ADD, {"code": "12"})
        assert is_in(other)
        assert AuditEvent.objects.filter(action="person.factor_add").count() == 1


class TestAtRest:
    def test_secrets_are_encrypted(self, secret: str) -> None:
        stored = str(list(Authenticator.objects.values_list("data", flat=True)))
        assert secret not in stored
        assert "seed" in stored

    def test_another_secret_key_opens_nothing(self, secret: str, settings: Any) -> None:
        settings.SECRET_KEY = "another-key-" * 6
        client = Client()
        password(client)
        for code in (code_of(secret), "000000", ""):
            client.post(FACTOR, {"code": code})
        assert not is_in(client)


class TestHostilePasskeys:
    """What a browser sends for a passkey may have any shape; the answer is the form again."""

    SHAPES: ClassVar = [
        *({}, {"id": "x"}, [], "x", 1, None, {"id": "x", "rawId": "x", "type": "public-key", "response": {}}),
        *({"id": 1, "rawId": 1, "response": 1}, {"rawId": "x", "response": {"clientDataJSON": "x"}}),
        {
            "id": "eA",
            "rawId": "eA",
            "type": "public-key",
            "response": {
                "clientDataJSON": "e30",
                "authenticatorData": "eA",
                "signature": "eA",
                "attestationObject": "eA",
            },
        },
    ]

    @pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: json.dumps(shape)[:40])
    def test_nothing_breaks(self, page: Client, secret: str, admin: User, shape: Any) -> None:
        sent = {"credential": json.dumps(shape)}
        client = Client()
        password(client)
        assert client.post(FACTOR, sent).status_code == 200
        assert not is_in(client)
        page.get("/account/factors/passkeys/add/")
        assert page.post("/account/factors/passkeys/add/", {"name": "x", **sent}).status_code == 200
        stale = signed_in(admin, minutes_ago=60)
        form = {"confirm-method": "get", "confirm-credential": sent["credential"]}
        assert stale.post(ADD, form).status_code == 422
        assert Authenticator.objects.filter(type="webauthn").count() == 0
