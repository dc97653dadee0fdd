"""Secrets in the database: a key that is changed loses none of them, however it is stopped, and says what is lost."""

import random
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client

from studio import reencrypt, running, secret_key, vault
from studio.models import Agent, AuditEvent, DatabaseRole, User
from tests.markup import Page
from tests.reading import text
from tests.rounds import rounds
from tests.safety.test_factors import ADD, FACTOR, again, code_of, password
from tests.server import ROOT, StudioServer, new_database, serving
from tests.world import fails, is_in, person, signed_in

STEPS = {
    "before the old key is kept": "studio.secret_key.replace",
    "before the key is replaced": "studio.secret_key._to_disk",
    "before anything is encrypted": "studio.reencrypt._places",
    "in the middle": "studio.reencrypt._of_factor",
    "before it is logged": "studio.reencrypt.record",
    "before the old key is forgotten": "studio.secret_key.forget",
}


@pytest.fixture
def kept(tmp_path: Path, ada: Agent, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DATA_DIR with a key of its own, under which the secrets are."""
    for name in ("SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    before = [settings.SECRET_KEY]
    settings.DATA_DIR = tmp_path
    started(settings, tmp_path)
    settings.SECRET_KEY_FALLBACKS = before
    reencrypt.all_secrets(reencrypt.Actor.system())
    started(settings, tmp_path)
    return tmp_path


def started(settings: Any, where: Path) -> None:
    """Read the keys as a studio that starts now."""
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secret_key.current(where), secret_key.before(where)


def texts() -> list[str | None]:
    """What is in every place where something encrypted is stored."""
    return [vault.decrypt(token) for place in reencrypt._places() for token in place.tokens]


def rotate() -> str:
    said = StringIO()
    call_command("rotate_secret", stdout=said, stderr=said)
    return said.getvalue()


@pytest.fixture
def secret(kept: Path, page: Client, admin: User) -> str:
    """The admin's app, added through the pages, with recovery codes."""
    secret: str = page.get(ADD).context["form"].secret
    page.post(ADD, {"code": code_of(secret)})
    again()
    return secret


class TestRotating:
    def test_every_place_is_under_the_new_key_alone(self, kept: Path, secret: str, settings: Any) -> None:
        before, key = texts(), settings.SECRET_KEY
        assert len(before) == 4
        assert "4 secrets are under the current key, 4 of them newly." in rotate()
        assert (kept / "secret_key").read_text() != key
        assert (kept / "secret_key").stat().st_mode & 0o777 == 0o600
        assert not (kept / "secret_key.old").exists()
        started(settings, kept)
        assert key not in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        assert texts() == before
        event = AuditEvent.objects.get(action="secret.rotate", data__counts__secrets=4)
        assert event.actor_kind == "system"

    def test_codes_of_before_and_after_work(self, kept: Path, secret: str, page: Client, settings: Any) -> None:
        codes = page.get("/account/factors/codes/").context["unused_codes"]
        for code in (code_of(secret), codes[0]):
            client = Client()
            password(client)
            rotate()
            started(settings, kept)
            # the half-done sign-in ends with its key, as every session does
            password(client)
            client.post(FACTOR, {"code": code})
            assert is_in(client)
            again()

    @pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
    def test_stopped_at_any_step_nothing_is_lost(
        self, kept: Path, secret: str, settings: Any, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        before = texts()
        with monkeypatch.context() as patch:
            patch.setattr(step, fails(KeyboardInterrupt()))  # type: ignore[arg-type]
            with pytest.raises(KeyboardInterrupt):
                rotate()
        # the studio that runs, and one that starts now
        assert texts() == before
        started(settings, kept)
        assert texts() == before
        rotate()
        started(settings, kept)
        assert texts() == before
        assert not (kept / "secret_key.old").exists()
        assert all(vault.is_current(token) for place in reencrypt._places() for token in place.tokens)

    def test_beside_a_studio_that_has_the_old_key_both_are_kept(self, kept: Path, secret: str, settings: Any) -> None:
        before, key = texts(), settings.SECRET_KEY
        with running.found_at("http://127.0.0.1:1", key):
            assert "goes on with both keys" in rotate()
            new = (kept / "secret_key").read_text()
            assert new != key
            # this process still has the settings of before
            assert texts() == before
            assert vault.is_current(vault.encrypt("written meanwhile"))
            assert "0 of them" in rotate()
            assert (kept / "secret_key").read_text() == new
        started(settings, kept)
        assert texts() == before
        with running.found_at("http://127.0.0.1:1", new):
            assert "The old key is forgotten" in rotate()
        assert (kept / "secret_key").read_text() == new

    def test_two_at_once_do_not_rotate_twice(self, kept: Path) -> None:
        with (
            running.locked(kept / "rotate.lock", wait=True),
            pytest.raises(CommandError, match="Another rotate_secret runs"),
        ):
            rotate()

    def test_a_given_key_is_not_replaced(
        self, kept: Path, secret: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, old, new = texts(), settings.SECRET_KEY, secrets.token_urlsafe(48)
        monkeypatch.setenv("SECRET_KEY", new)
        monkeypatch.setenv("SECRET_KEY_FALLBACKS", f" {secrets.token_urlsafe(48)}, {old} ,,")
        started(settings, kept)
        assert settings.SECRET_KEY_FALLBACKS[1:] == [old]
        assert "4 of them" in rotate()
        monkeypatch.delenv("SECRET_KEY_FALLBACKS")
        started(settings, kept)
        assert settings.SECRET_KEY_FALLBACKS == []
        assert texts() == before
        assert "start the studio with a new SECRET_KEY" in rotate()
        assert texts() == before


class TestWhatCannotBeRead:
    @pytest.fixture
    def lost(self, secret: str, settings: Any) -> str:
        settings.SECRET_KEY = "another-key-" * 6
        return secret

    def test_the_command_names_it_and_leaves_it(self, lost: str) -> None:
        before = list(DatabaseRole.objects.order_by("pk").values_list("password_encrypted", flat=True))
        said = StringIO()
        with pytest.raises(CommandError, match=r"4 secrets cannot be read .* SECRET_KEY_FALLBACKS"):
            call_command("rotate_secret", stdout=said, stderr=said)
        for name in ("password of agt-ada", "authenticator app of admin@", "recovery codes of admin@"):
            assert f"Cannot read the {name}" in said.getvalue().replace("database ", "")
        assert before == list(DatabaseRole.objects.order_by("pk").values_list("password_encrypted", flat=True))

    def test_signing_in_says_what_to_do(self, lost: str, caplog: pytest.LogCaptureFixture) -> None:
        for code in (code_of(lost), "000000"):
            client = Client()
            password(client)
            answer = client.post(FACTOR, {"code": code})
            assert answer.status_code == 503
            assert "SECRET_KEY_FALLBACKS" in text(answer)
            assert "remove_factors" in text(answer)
            assert not is_in(client)
        assert not any(record.exc_info for record in caplog.records if "secret" in record.message)

    def test_confirming_says_it_too(self, lost: str, admin: User) -> None:
        form = {"confirm-method": "post", "confirm-code": code_of(lost)}
        answer = signed_in(admin, minutes_ago=60).post(f"/people/{person('viewer').pk}/sign-out/", form)
        assert answer.status_code == 503
        assert "SECRET_KEY_FALLBACKS" in text(answer)

    @pytest.mark.parametrize("path", ["/account/factors/codes/", "/account/"])
    def test_the_persons_pages_do_not_break(self, lost: str, admin: User, path: str) -> None:
        answer = signed_in(admin).get(path)
        assert answer.status_code == (200 if path == "/account/" else 503)
        assert "SECRET_KEY_FALLBACKS" in text(answer)

    def test_the_factors_can_be_removed_and_added_again(self, lost: str, admin: User) -> None:
        said = StringIO()
        call_command("remove_factors", " Admin@example.com", stdout=said)
        assert "admin@example.com has no second factor any more" in said.getvalue()
        assert not Authenticator.objects.exists()
        event = AuditEvent.objects.get(action="person.factor_remove")
        assert (event.actor_kind, event.object, event.data) == (
            "system",
            admin.email,
            {"factors": ["authenticator app"]},
        )
        call_command("remove_factors", admin.email, stdout=said)
        assert "nothing was changed" in said.getvalue()
        with pytest.raises(CommandError, match="Nobody has the email"):
            call_command("remove_factors", "nobody@example.com")

    def test_removing_them_by_the_command_ends_the_sessions(self, lost: str, admin: User) -> None:
        client = signed_in(admin)
        call_command("remove_factors", admin.email, stdout=StringIO())
        assert not is_in(client)


class TestRealProcesses:
    """A studio with key A, the command, and a studio with key B alone."""

    @pytest.fixture
    def dsn(self) -> Iterator[str]:
        with new_database() as dsn:
            yield dsn

    def add_app(self, client: httpx.Client) -> tuple[str, list[str]]:
        """Add an authenticator app; return its key, and the recovery codes, which are shown once."""
        page = client.get(ADD)
        found = re.search(r'<code class="key"[^>]*>([A-Z2-7]+)</code>', page.text)
        assert found
        added = next(form for form in Page(page.text).forms if "code" in form.fields).send(
            client, page, code=code_of(found[1])
        )
        assert added.status_code == 200
        return found[1], re.findall(r"\b\d{8}\b", added.text)

    def sign_in(self, server: StudioServer, code: Callable[[], str]) -> httpx.Client:
        client = httpx.Client(base_url=server.url, follow_redirects=True, timeout=60)
        page = client.get(server.sign_in_link())
        page = Page(page.text).forms[0].send(client, page)
        assert page.url.path == FACTOR
        page = next(form for form in Page(page.text).forms if "code" in form.fields).send(client, page, code=code())
        assert page.status_code == 200, page.text
        assert page.url.path != FACTOR
        return client

    def revealed(self, client: httpx.Client, agent: str) -> str:
        path = f"/agents/{agent}/connection/"
        page = client.get(path)
        shown = next(
            form for form in Page(page.text).forms if form.method == "post" and form.action in ("", path)
        ).send(client, page)
        found = re.search(r"postgresql://[^\"<\s]+", shown.text)
        return found[0].replace("&amp;", "&") if found else ""

    @pytest.mark.attack
    def test_nothing_is_lost_from_key_to_key(self, dsn: str, tmp_path: Path) -> None:
        with serving(dsn, tmp_path, SECRET_KEY="") as server:
            first = server.create_agent("first")
            client = server.client()
            app, codes = self.add_app(client)
            key = (tmp_path / "secret_key").read_text()
            self.stopped_often(server)
            assert "goes on with both keys" in server.manage("rotate_secret")
            assert self.revealed(client, "first") == first.dsn
            second = server.create_agent("second")
            assert self.revealed(self.sign_in(server, lambda: codes[0]), "second") == second.dsn
            cookies = dict(client.cookies)
        assert key != (tmp_path / "secret_key").read_text()
        with serving(dsn, tmp_path, SECRET_KEY="") as server:
            # sessions go on as long as the old key is kept
            client = httpx.Client(base_url=server.url, cookies=cookies, timeout=60)
            assert client.get("/agents/").status_code == 200
            assert "The old key is forgotten" in server.manage("rotate_secret")
        with serving(dsn, tmp_path, SECRET_KEY="") as server:
            assert not (tmp_path / "secret_key.old").exists()
            stale = httpx.Client(base_url=server.url, cookies=cookies, timeout=60)
            assert stale.get("/agents/").status_code == 302
            client = self.sign_in(server, lambda: code_of(app, steps=1))
            assert [self.revealed(client, one.id) for one in (first, second)] == [first.dsn, second.dsn]
            assert self.sign_in(server, lambda: codes[1]).get("/agents/").status_code == 200
            assert "The audit log is whole" in server.manage("audit", "verify")

    def stopped_often(self, server: StudioServer) -> None:
        chance = random.Random(5)
        for _ in range(rounds(2, 8)):
            process = subprocess.Popen(
                [sys.executable, "manage.py", "rotate_secret"], cwd=ROOT, env=server.env, stdout=subprocess.DEVNULL
            )
            time.sleep(chance.uniform(0.5, 2.5))
            process.kill()
            process.wait()

    def test_a_key_from_the_environment(self, dsn: str, tmp_path: Path) -> None:
        old, new = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
        with serving(dsn, tmp_path, SECRET_KEY=old) as server:
            agent = server.create_agent("first")
            app, _ = self.add_app(server.client())
        with serving(dsn, tmp_path, SECRET_KEY=new, SECRET_KEY_FALLBACKS=old) as server:
            # beside the studio, whose keys it takes
            del server.env["SECRET_KEY"], server.env["SECRET_KEY_FALLBACKS"]
            assert "3 secrets are under the current key, 3 of them newly." in server.manage("rotate_secret")
        with serving(dsn, tmp_path, SECRET_KEY=new) as server:
            assert self.revealed(self.sign_in(server, lambda: code_of(app, steps=1)), "first") == agent.dsn
