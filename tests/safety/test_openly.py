"""What is sent without encryption, or lands where it should not: refused, warned of, or not there."""

import re
import runpy
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files import uploadhandler
from django.db import connection
from django.test import Client, override_settings

from studio import checks
from studio.keys import service as keys
from studio.models import Agent
from studio.proxies import is_unread
from tests.safety.routes import Route, routes, sample
from tests.world import SYSTEM, signed_in

SETTINGS = Path(__file__).resolve().parents[2] / "studio" / "settings.py"
API = [route for route in routes() if re.match("api(/|$)", route.route)]
# of another machine, or of none
READ = ["http://id.example", "http://127.0.0.1.evil.example", "http://localhost.example", "http://10.0.0.1", "ftp://a"]
READ += ["http://2130706433", "id.example", "", "https://", "http://", "http:///x", "//id.example", "javascript:1"]
UNREAD = ["https://id.example", "https://id.example:8443/realm", "http://127.0.0.1:8080", "http://localhost:1/x"]
UNREAD += ["http://[::1]:8080/", "http://127.8.8.8", "HTTPS://id.example"]


class TestTheApi:
    """A redirect would hide from whoever calls that their key was sent openly."""

    @pytest.fixture(autouse=True)
    def https(self, settings: Any) -> None:
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    @pytest.fixture
    def key(self, ada: Agent) -> str:
        return keys.create(SYSTEM, name="k", scopes=["admin"])[1]

    def refused(self, answer: Any) -> bool:
        return bool(answer.status_code == 403 and "https://" in answer.json()["detail"])

    @pytest.mark.parametrize("method", ["get", "post", "patch", "delete", "head", "options"])
    @pytest.mark.parametrize("route", API, ids=lambda route: route.route)
    def test_no_call_is_answered_or_redirected(self, key: str, route: Route, method: str) -> None:
        answer = getattr(Client(), method)(route.path(**sample()), headers={"x-api-key": key})
        assert answer.status_code == 403
        assert method == "head" or self.refused(answer)

    @pytest.mark.parametrize("path", ["/api", "/api/", "/API/agents/list", "/api/nothing"])
    def test_without_a_key_and_however_it_is_written(self, db: None, path: str) -> None:
        assert self.refused(Client().get(path))

    @pytest.mark.parametrize("path", ["/", "/agents/", "/nothing", "/sign-in/"])
    def test_nor_with_a_key_at_any_other_address(self, key: str, path: str) -> None:
        assert self.refused(Client().get(path, headers={"x-api-key": key}))

    def test_a_proxy_that_had_https_is_believed(self, key: str) -> None:
        headers = {"x-api-key": key, "x-forwarded-proto": "https"}
        assert Client().get("/api/agents/list", headers=headers).status_code == 200

    def test_pages_are_still_redirected(self, db: None) -> None:
        for path in ("/agents/", "/apiary", "/agents/api/"):
            assert Client().get(path).status_code == 301

    def test_without_https_it_answers(self, key: str) -> None:
        with override_settings(SECURE_SSL_REDIRECT=False):
            assert Client().get("/api/agents/list", headers={"x-api-key": key}).status_code == 200


class TestAddresses:
    @pytest.mark.parametrize("url", UNREAD)
    def test_nobody_reads_on_the_way_to_these(self, url: str) -> None:
        assert is_unread(url)

    @pytest.mark.parametrize("url", [*READ, None, 1, [], b"http://x", "http://[::1"], ids=repr)
    def test_somebody_may_on_the_way_to_these(self, url: Any) -> None:
        assert not is_unread(url)

    @pytest.mark.parametrize("issuer", ["http://id.example", "id.example", "http://localhost.example/"])
    def test_a_provider_without_https_is_refused_at_the_start(
        self, monkeypatch: pytest.MonkeyPatch, issuer: str
    ) -> None:
        for name in ("CLIENT_ID", "CLIENT_SECRET"):
            monkeypatch.setenv(f"OIDC_{name}", "x")
        monkeypatch.setenv("OIDC_ISSUER", issuer)
        with pytest.raises(ImproperlyConfigured, match="OIDC_ISSUER must begin with https://"):
            runpy.run_path(str(SETTINGS))


class TestTheDatabase:
    def said(self, host: str, **options: str) -> list[str]:
        place = {**connection.settings_dict, "HOST": host, "OPTIONS": options}
        with mock.patch.object(connection, "settings_dict", place):
            return [message.id for message in checks.encrypted(None)]

    @pytest.mark.parametrize(
        "host", ["db.example", "10.0.0.5", "2001:db8::1", "127.0.0.1,db.example", "localhost.example"]
    )
    @pytest.mark.parametrize("mode", ["", "disable", "allow", "prefer", "REQUIRE"])
    def test_another_machine_is_warned_of(self, monkeypatch: pytest.MonkeyPatch, host: str, mode: str) -> None:
        monkeypatch.delenv("PGSSLMODE", raising=False)
        assert self.said(host, **({"sslmode": mode} if mode else {})) == ["studio.W008"]

    @pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
    def test_not_where_it_is_encrypted(self, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
        assert self.said("db.example", sslmode=mode) == []
        monkeypatch.setenv("PGSSLMODE", mode)
        assert self.said("db.example") == []

    @pytest.mark.parametrize("host", ["", "/var/run/postgresql", "127.0.0.1", "::1", "localhost"])
    def test_nor_on_this_machine(self, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        monkeypatch.delenv("PGSSLMODE", raising=False)
        assert self.said(host) == []

    def test_mail_is_warned_of_too(self, settings: Any) -> None:
        settings.EMAIL_URL, settings.EMAIL_HOST = "smtp://mail.example", "mail.example"
        assert self.said("") == ["studio.W009"]
        settings.EMAIL_USE_TLS = True
        assert self.said("") == []


@pytest.mark.parametrize("size", [1, 3_000_000], ids=["small", "3 MB"])
@pytest.mark.parametrize("path", ["/sign-in/", "/agents/new/", "/api/agents/list", "/nothing"])
def test_no_file_of_a_form_reaches_the_disk(admin: Any, monkeypatch: pytest.MonkeyPatch, path: str, size: int) -> None:
    written: list[Any] = []
    monkeypatch.setattr(uploadhandler, "TemporaryUploadedFile", lambda *about: written.append(about))
    for client in (Client(), signed_in(admin)):
        file = BytesIO(b"x" * size)
        file.name = "x.bin"
        assert client.post(path, {"login": "a@example.com", "file": file}).status_code < 500
    assert written == []
