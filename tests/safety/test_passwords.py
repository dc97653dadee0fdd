"""Passwords that guessers try early are refused, wherever one is set."""

import socket
from typing import Any
from unicodedata import normalize

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from studio.models import User
from studio.people.links import new_link
from tests.reading import text
from tests.world import PASSWORD, fails, is_in, signed_in

# each has 12 characters and more, and Django's list of 20,000 has none of them
GUESSED = [
    *("passwordpassword", "password1234", "qwertyuiop12", "123456789012", "iloveyou1234", "Administrator1"),
    *("Passw0rd!2024", "P@ssword123!", "letmeinletmein", "1q2w3e4r5t6y", "trustno1trustno1", "aaaaaaaaaaaa"),
    *("abcdefghijkl", "monkeydragon1", "agentstudio1", "qwertyqwertyqwerty" * 5, "💥" * 12, "\x00" * 12),
]
# Ada Lovelace, ada.lovelace@example.com
OF_ADA = ["ada.lovelace@example.com", "adalovelace1815", "AdaLovelace!!", "lovelace1234", "ecalevol.ada1"]


@pytest.fixture
def ada() -> User:
    return User(email="ada.lovelace@example.com", name="Ada Lovelace")


@pytest.mark.parametrize("guessed", GUESSED)
def test_what_guessers_try_early_is_refused_and_the_answer_says_what_to_do(ada: User, guessed: str) -> None:
    with pytest.raises(ValidationError, match="Take four or more words"):
        validate_password(guessed, ada)


@pytest.mark.parametrize("own", OF_ADA)
def test_ones_own_name_and_email_are_refused(ada: User, own: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(own, ada)


@pytest.mark.parametrize("good", [PASSWORD, "x-9-Kd-fJ-29", "zug morgen leise über", "p" * 40 + " Kd-fJ-29 zq"])
def test_others_are_taken(ada: User, good: str) -> None:
    validate_password(good, ada)


def test_nothing_is_asked_on_the_network(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", fails(OSError("no network")))
    validate_password(PASSWORD, ada)


class TestAsTyped:
    """A password is what was typed: nothing is cut off, trimmed or changed before it is compared."""

    # with NFD's two signs for one letter
    TYPED = " Zwo\u0308lf  Bo\u0308gen\tam Fluss "
    SETS = ("change", "confirm")

    def set_by(self, way: str, user: User, password: str) -> None:
        """Set a password by the page for it, or by the one that confirms."""
        link, client = new_link(user.email), Client()
        client.post(link)
        if way == "change":
            client.post("/account/password/", {"new_password1": password, "new_password2": password})
            return
        User.objects.filter(pk=user.pk).update(password="!")
        client = Client()
        client.post(new_link(user.email))
        twice = {"confirm-new-password": password, "confirm-new-password-again": password}
        client.post("/account/factors/app/add/", {"confirm-method": "get", **twice})

    def signs_in(self, password: str) -> bool:
        client = Client()
        client.post("/sign-in/", {"login": "admin@example.com", "password": password})
        return is_in(client)

    def confirms(self, user: User, password: str) -> bool:
        form = {"confirm-method": "get", "confirm-password": password}
        answer = signed_in(user, minutes_ago=60).post("/account/factors/app/add/", form)
        return bool(answer.status_code == 303)

    @pytest.mark.parametrize("way", SETS)
    def test_it_is_compared_as_it_was_typed(self, admin: User, way: str) -> None:
        self.set_by(way, admin, self.TYPED)
        admin.refresh_from_db()
        others = [self.TYPED.strip(), self.TYPED.lower(), " ".join(self.TYPED.split()), self.TYPED[:-1] + "  "]
        for other in (*others[:2], others[2], normalize("NFC", self.TYPED)):
            assert not self.signs_in(other)
            assert not self.confirms(admin, other)
        assert self.signs_in(self.TYPED)
        assert self.confirms(admin, self.TYPED)

    @pytest.mark.parametrize("length", [64, 128, 1000])
    @pytest.mark.parametrize("way", SETS)
    def test_a_long_one_counts_to_its_end(self, admin: User, way: str, length: int) -> None:
        long = (PASSWORD + " und mehr ") * 50
        typed = long[: length - 1] + "Z"
        self.set_by(way, admin, typed)
        admin.refresh_from_db()
        assert not self.signs_in(typed[:-1])
        assert not self.confirms(admin, typed[:-1] + "z")
        assert self.signs_in(typed)
        assert self.confirms(admin, typed)


class TestWhereOneIsSet:
    GUESSED = "iloveyou1234"

    def form(self, **more: str) -> dict[str, str]:
        return {"new_password1": self.GUESSED, "new_password2": self.GUESSED, **more}

    def refuses(self, answer: Any, email: str, password: str = "") -> bool:
        user = User.objects.get(email=email)
        unchanged = user.check_password(password) if password else not user.has_usable_password()
        return unchanged and "easy to guess. Take four or more words" in text(answer)

    def test_changing_it(self, page: Client) -> None:
        answer = page.post("/account/password/", self.form(old_password=PASSWORD))
        assert self.refuses(answer, "admin@example.com", PASSWORD)

    def test_the_first_one_after_a_link(self, admin: User) -> None:
        client, user = Client(), User.objects.create_user("new@example.com")
        client.post(new_link(user.email))
        assert self.refuses(client.post("/account/password/", self.form()), user.email)

    def test_the_first_one_on_the_page_that_confirms(self, db: None) -> None:
        user = User.objects.create_user("new@example.com")
        user.grants.create(role="admin")
        client = Client()
        client.post(new_link(user.email))
        session = client.session
        session["account_authentication_methods"] = []
        session.save()
        typed = {"confirm-new-password": self.GUESSED, "confirm-new-password-again": self.GUESSED}
        answer = client.post("/people/invite/", {"confirm-method": "post", **typed})
        assert self.refuses(answer, user.email)

    def test_the_command(self, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("getpass.getpass", lambda *args, **more: self.GUESSED)
        with pytest.raises(CommandError, match="Aborting password change"):
            call_command("changepassword", "admin@example.com")
        assert User.objects.get(pk=admin.pk).check_password(PASSWORD)
