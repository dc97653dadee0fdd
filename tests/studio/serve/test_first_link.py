"""The link that a start prints: for whoever sees the terminal, or while nobody can sign in otherwise."""

import io
from pathlib import Path
from urllib.parse import urlsplit

from django.core.management.base import OutputWrapper

from studio.management.commands.serve import Command
from studio.models import SignInLink, User
from tests.server import StudioServer, new_database, serving
from tests.studio.serve.running import get

SET_PASSWORD = """
from studio.models import User
user = User.objects.get()
user.set_password("correct horse battery")
user.save()
"""


class Terminal(io.StringIO):
    def __init__(self, *, is_one: bool) -> None:
        super().__init__()
        self.is_one = is_one

    def isatty(self) -> bool:
        return self.is_one


def greeting(*, on_a_terminal: bool) -> str:
    out = Terminal(is_one=on_a_terminal)
    command = Command()
    command.stdout = OutputWrapper(out)
    command.greet("http://127.0.0.1:8000")
    return out.getvalue()


def test_a_log_gets_no_link_once_an_admin_can_sign_in(admin: User) -> None:
    said = greeting(on_a_terminal=False)
    assert "/sign-in/once/" not in said
    assert said.startswith("Open http://127.0.0.1:8000\n")
    assert "manage.py sign_in_link prints a link" in said
    assert not SignInLink.objects.exists()


def test_a_terminal_gets_one(admin: User) -> None:
    assert "/sign-in/once/" in greeting(on_a_terminal=True)


def test_a_log_gets_one_while_nobody_can_sign_in_and_the_last_is_the_only_one(db: None) -> None:
    User.objects.update(password="!")
    links = [greeting(on_a_terminal=False).split()[1] for _ in range(10)]
    assert len(set(links)) == 10
    assert (
        SignInLink.objects.filter(used_at=None, expires_at__gt=SignInLink.objects.latest("id").created_at).count() == 1
    )


def printed(server: StudioServer) -> str:
    """The path of the link that a start has printed, "" for none."""
    return next(urlsplit(line.removeprefix("Open ")).path for line in server.said if line.startswith("Open "))


def test_a_studio_that_is_started_again(tmp_path: Path) -> None:
    with new_database() as dsn:
        with serving(dsn, tmp_path / "var") as server:
            first = printed(server)
            assert get(server.url + first) == 200
        with serving(dsn, tmp_path / "var") as server:
            second = printed(server)
            assert (get(server.url + first), get(server.url + second)) == (410, 200)
            server.python(SET_PASSWORD)
        with serving(dsn, tmp_path / "var") as server:
            assert printed(server) == ""
            assert get(server.sign_in_link()) == 200
            assert get(server.url + second) == 410
