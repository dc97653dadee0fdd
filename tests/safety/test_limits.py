"""Guesses are slowed down where they come from, and keep nobody else out."""

import threading
from dataclasses import replace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client

from studio import tries
from studio.models import User
from studio.people import limits
from studio.people.links import new_link
from studio.proxies import network_of
from tests.reading import text
from tests.safety.test_factors import code_of
from tests.world import PASSWORD, is_in, sql

EMAIL = "admin@example.com"
FACTOR = "/sign-in/factor/"


def at(address: str) -> Client:
    """A browser at this address."""
    return Client(REMOTE_ADDR=address)


def guess(client: Client, password: str = "wrong", email: str = EMAIL) -> Any:
    return client.post("/sign-in/", {"login": email, "password": password})


def is_limited(answer: Any) -> bool:
    return "Too many" in text(answer)


def enters(address: str) -> bool:
    client = at(address)
    guess(client, PASSWORD)
    return is_in(client)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer guesses from all addresses, because each takes a third of a second."""
    monkeypatch.setattr(limits, "PASSWORD", replace(limits.PASSWORD, from_all=12))


class TestPasswords:
    def test_guesses_from_one_address_keep_nobody_out_elsewhere(self, admin: User) -> None:
        attacker = at("192.0.2.1")
        answers = [guess(attacker) for _ in range(8)]
        assert [is_limited(answer) for answer in answers] == [False] * 5 + [True] * 3
        assert is_limited(guess(attacker, PASSWORD))
        assert enters("192.0.2.2")

    def test_neither_a_link_nor_a_command_is_limited(self, admin: User, capsys: pytest.CaptureFixture[str]) -> None:
        attacker = at("192.0.2.1")
        for _ in range(8):
            guess(attacker)
        call_command("sign_in_link", "--email", EMAIL)
        path = "/sign-in/" + capsys.readouterr().out.strip().partition("/sign-in/")[2]
        attacker.post(path)
        assert is_in(attacker)

    def test_links_are_not_limited_however_many_are_tried(self, admin: User) -> None:
        client = at("192.0.2.1")
        for number in range(100):
            assert client.post(f"/sign-in/once/{number:043}/").headers["location"] == "/sign-in/expired/"
        client.post(new_link(EMAIL))
        assert is_in(client)

    def test_one_address_alone_does_not_use_up_what_all_have(self, admin: User, quick: None) -> None:
        attacker = at("192.0.2.1")
        for _ in range(25):
            guess(attacker)
        assert enters("192.0.2.2")

    def test_guesses_from_everywhere_are_slow_but_let_the_person_in_from_where_they_were(
        self, admin: User, quick: None
    ) -> None:
        assert enters("198.51.100.7")
        answers = [guess(at(f"192.0.2.{number}")) for number in range(14)]
        assert [is_limited(answer) for answer in answers] == [False] * 12 + [True] * 2
        assert not enters("203.0.113.1")
        assert enters("198.51.100.7")

    def test_whoever_guesses_from_a_known_address_is_limited_there_too(self, admin: User, quick: None) -> None:
        assert enters("198.51.100.7")
        for number in range(14):
            guess(at(f"192.0.2.{number}"))
        neighbour = at("198.51.100.7")
        assert [is_limited(guess(neighbour)) for _ in range(6)] == [False] * 5 + [True]

    def test_an_email_that_nobody_has_is_limited_alike(self, admin: User, quick: None) -> None:
        seen = []
        for email, net in ((EMAIL, "192.0.2"), ("nobody@example.com", "198.51.100")):
            answers = [guess(at(f"{net}.{1 + number // 3}"), email=email) for number in range(15)]
            answers += [guess(at(f"{net}.1"), email=email) for _ in range(4)]
            seen.append([(answer.status_code, is_limited(answer)) for answer in answers])
        assert seen[0] == seen[1]

    def test_the_right_password_does_not_count(self, admin: User) -> None:
        assert all(enters("192.0.2.1") for _ in range(7))

    def test_an_email_in_capitals_is_the_same_account(self, admin: User) -> None:
        attacker = at("192.0.2.1")
        for email in (EMAIL, EMAIL.upper(), "Admin@Example.com", EMAIL, EMAIL):
            guess(attacker, email=email)
        assert is_limited(guess(attacker))

    def test_all_of_a_home_network_is_one_address(self, admin: User) -> None:
        answers = [guess(at(f"2001:db8:0:1::{number:x}")) for number in range(1, 8)]
        assert [is_limited(answer) for answer in answers] == [False] * 5 + [True] * 2
        assert enters("2001:db8:0:2::1")

    def test_an_address_that_names_many_accounts_is_slowed_down(self, admin: User) -> None:
        attacker = at("192.0.2.1")
        answers = [guess(attacker, "", f"n{number}@example.com") for number in range(31)]
        assert [answer.status_code for answer in answers] == [200] * 30 + [429]
        assert enters("192.0.2.2")

    def test_what_was_typed_is_not_kept(self, admin: User) -> None:
        guess(at("192.0.2.1"), email="hunter2@secret.example")
        assert "hunter2" not in str(sql("select key from studio_try where key not like 'refused|%%' "))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("unix", ""),
    ],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


class TestCodes:
    @pytest.fixture
    def secret(self, page: Client, admin: User) -> str:
        secret: str = page.get("/account/factors/app/add/").context["form"].secret
        page.post("/account/factors/app/add/", {"code": code_of(secret)})
        sql("delete from studio_cache")
        return secret

    def halfway(self, address: str) -> Client:
        """A browser whose password was right."""
        client = at(address)
        assert guess(client, PASSWORD).headers["location"] == FACTOR
        return client

    def test_wrong_ones_from_one_address_keep_nobody_out_elsewhere(self, secret: str) -> None:
        thief = self.halfway("192.0.2.1")
        answers = [thief.post(FACTOR, {"code": "000000"}) for _ in range(7)]
        assert [is_limited(answer) for answer in answers] == [False] * 5 + [True] * 2
        thief.post(FACTOR, {"code": code_of(secret)})
        assert not is_in(thief)
        owner = self.halfway("192.0.2.2")
        owner.post(FACTOR, {"code": code_of(secret)})
        assert is_in(owner)

    def test_new_sessions_do_not_begin_anew(self, secret: str) -> None:
        answers = [self.halfway("192.0.2.1").post(FACTOR, {"code": "000000"}) for _ in range(6)]
        assert is_limited(answers[-1])

    def test_wrong_ones_from_everywhere_are_slow(self, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert limits.CODE.from_all <= 30
        monkeypatch.setattr(limits, "CODE", replace(limits.CODE, from_all=6))
        answers = [self.halfway(f"192.0.2.{number}").post(FACTOR, {"code": "000000"}) for number in range(8)]
        assert [is_limited(answer) for answer in answers] == [False] * 6 + [True] * 2

    def test_wrong_ones_that_confirm(self, secret: str, page: Client) -> None:
        session = page.session
        session["account_authentication_methods"] = []
        session.save()

        def confirm(code: str, address: str) -> Any:
            form = {"confirm-method": "post", "confirm-code": code}
            return page.post("/account/factors/codes/new/", form, REMOTE_ADDR=address)

        answers = [confirm("000000", "192.0.2.1") for _ in range(6)]
        assert [is_limited(answer) for answer in answers] == [False] * 5 + [True]
        assert confirm(code_of(secret), "192.0.2.2").status_code != 422
        assert Authenticator.objects.exists()


def test_wrong_passwords_that_confirm_keep_nobody_out_elsewhere(page: Client) -> None:
    session = page.session
    session["account_authentication_methods"] = []
    session.save()

    def confirm(password: str, address: str) -> Any:
        form = {"confirm-method": "get", "confirm-password": password}
        return page.post("/account/factors/app/add/", form, REMOTE_ADDR=address)

    answers = [confirm("wrong", "192.0.2.1") for _ in range(11)]
    assert [is_limited(answer) for answer in answers] == [False] * 10 + [True]
    assert is_limited(confirm(PASSWORD, "192.0.2.1"))
    assert confirm(PASSWORD, "192.0.2.2").status_code == 303


def test_asking_for_mail_keeps_nobody_else_from_it(admin: User, settings: Any) -> None:
    settings.EMAIL_URL = "memory://"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    asked = [at("192.0.2.1").post("/account/password/forgotten/", {"email": EMAIL}) for _ in range(7)]
    assert [answer.status_code for answer in asked] == [200] * 5 + [429] * 2
    assert at("192.0.2.2").post("/account/password/forgotten/", {"email": EMAIL}).status_code == 200
    for thread in threading.enumerate():
        if "_send" in thread.name:
            thread.join(5)
    assert len(mail.outbox) == 6


def test_guesses_at_the_same_moment_are_all_counted(transactional_db: None) -> None:
    found: list[int] = []

    def count() -> None:
        found.append(tries.count("test", 60))
        connection.close()

    threads = [threading.Thread(target=count) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sql("delete from studio_try where key = 'test'")
    assert sorted(found) == list(range(1, 21))


def test_time_gives_new_tries(db: None) -> None:
    assert [tries.count("test", 60) for _ in range(3)] == [1, 2, 3]
    sql("update studio_try set ends_at = clock_timestamp()")
    assert tries.count("test", 60) == 1


def test_a_proxy_that_the_studio_does_not_know_of_is_named(admin: User, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(6):
        Client().post("/sign-in/", {"login": EMAIL, "password": "x"}, headers={"x-forwarded-for": "192.0.2.1"})
    assert "set TRUSTED_PROXIES" in caplog.text
