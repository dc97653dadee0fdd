"""A first start with nothing set: closed to the network, no password that anybody could know, keys of its own."""

import os
import runpy
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from studio import postgres
from tests.markup import Page
from tests.studio.serve.running import ROOT, Studio, ask, environment, passable, postmaster, running

GUESSES = ["", "admin", "password", "studio", "changeme", "!", "agent-studio", "admin@studio.local"]
STARTS_TOGETHER = 8


@pytest.fixture(scope="module")
def first() -> Iterator[Studio]:
    """A studio that starts for the first time, in an empty directory, with only a port chosen for it."""
    with passable() as data_dir, running(data_dir) as studio:
        yield studio


def browser() -> httpx.Client:
    return httpx.Client(timeout=30)


def test_it_listens_on_this_machine_only(first: Studio) -> None:
    processes = [first.web, *first.web.children(), postmaster(first.data_dir), psutil.Process(first.process.pid)]
    open_at = {
        line.laddr.ip
        for process in processes
        for line in process.net_connections(kind="inet")
        if line.status == psutil.CONN_LISTEN
    }
    assert open_at == {"127.0.0.1"}


def test_nobody_has_a_password_and_none_is_guessed(first: Studio) -> None:
    assert ask(first.data_dir, "select array_agg(email || ' ' || password) from studio_user") == [
        "admin@studio.local !"
    ]
    for guess in GUESSES:
        with browser() as client:
            page = client.get(first.url + "/sign-in/")
            form = next(form for form in Page(page.text).forms if "login" in form.fields)
            answer = form.send(client, page, login="admin@studio.local", password=guess)
            assert answer.status_code in (200, 429)
            assert client.get(first.url + "/agents/").status_code == 302


def test_the_link_that_it_prints_works_once(first: Studio) -> None:
    for lets_in in (True, False):
        with browser() as client:
            page = client.get(first.link)
            if lets_in:
                assert Page(page.text).form("").send(client, page).status_code == 303
            else:
                assert page.headers["location"] == "/sign-in/expired/"
            assert (client.get(first.url + "/agents/").status_code == 200) is lets_in


def test_its_secrets_are_readable_by_their_owner_alone(first: Studio) -> None:
    home = postgres.locate(first.data_dir)
    secret = [first.data_dir / "secret_key", home / "password", home / "superuser"]
    for path in secret:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in (home / "data", home / "run", home / "log"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert len(secret[0].read_text()) >= 50


def test_it_says_nothing_about_its_code(first: Studio) -> None:
    answer = httpx.get(first.url + "/no/such/page", timeout=30)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text
    assert "urlpatterns" not in answer.text


def test_starts_at_the_same_moment_make_one_key(tmp_path: Path) -> None:
    code = "import sys; sys.stdin.readline(); from studio import settings; print(settings.SECRET_KEY)"
    env = {**os.environ, "DATA_DIR": str(tmp_path / "var"), "SECRET_KEY": ""}
    pipe = subprocess.PIPE
    starts = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True)
        for _ in range(STARTS_TOGETHER)
    ]
    for start in starts:
        assert start.stdin is not None
        start.stdin.write("\n")
        start.stdin.flush()
    keys = {start.communicate(timeout=30)[0].strip() for start in starts}
    assert len(keys) == 1
    assert keys == {(tmp_path / "var" / "secret_key").read_text().strip()}


def test_settings_of_an_empty_environment_are_the_safe_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - {"PATH", "HOME"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://studio:none@127.0.0.1:9/studio")
    found = runpy.run_path(str(ROOT / "studio" / "settings.py"))
    assert (found["DEBUG"], found["HOST"], found["TRUSTED_PROXIES"]) == (False, "127.0.0.1", 0)
    assert set(found["ALLOWED_HOSTS"]) == {"127.0.0.1", "localhost", "[::1]"}
    assert found["SESSION_COOKIE_HTTPONLY"]
    assert found["CSRF_COOKIE_HTTPONLY"]
    assert "django.contrib.admin" not in found["INSTALLED_APPS"]


def test_two_studios_do_not_share_a_key() -> None:
    code = "from django.conf import settings; print(settings.SECRET_KEY)"
    keys = set()
    for _ in range(2):
        with tempfile.TemporaryDirectory() as name:
            env = {**environment(Path(name)), "DATABASE_URL": "postgresql://studio:none@127.0.0.1:9/studio"}
            command = [sys.executable, "manage.py", "shell", "--no-imports", "--command", code]
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
            keys.add(done.stdout.strip())
    assert len(keys) == 2
    assert all(len(key) >= 50 for key in keys)
