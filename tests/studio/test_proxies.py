"""Behind proxies: whose request it is, under which address, and what PUBLIC_URL may be."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from studio.middleware import HEALTH
from studio.postgres import StartFailure
from studio.proxies import client_address, plain_address, public_url
from tests.reading import text
from tests.world import person

SETTINGS = Path(__file__).resolve().parents[2] / "studio" / "settings.py"
PASSWORD = "correct horse battery"


def settings_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name in ("PUBLIC_URL", "HOST", "PORT", "ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


class TestClients:
    @pytest.mark.parametrize(
        ("hop", "address"),
        [
            ("203.0.113.1", "203.0.113.1"),
            ("203.0.113.1:50001", "203.0.113.1"),
            ('"203.0.113.1"', "203.0.113.1"),
            ('"203.0.113.1:50001"', "203.0.113.1"),
            ('"203.0.113.1":50001', "203.0.113.1"),
            ('"[2001:db8::1]":50001', "2001:db8::1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("2001:db8::1:4711", "2001:db8::1:4711"),
            ("2001:db8:0:0:0:0:0:1:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ('"[2001:db8::1]:4711"', "2001:db8::1"),
            ("::ffff:203.0.113.1", "203.0.113.1"),
            ("::ffff:cb00:7101", "203.0.113.1"),
            ("::ffff:203.0.113.1:4711", "203.0.113.1"),
            ("[::ffff:203.0.113.1]:4711", "203.0.113.1"),
            ("fe80::1%eth0", "fe80::1"),
            *((wrong, "") for wrong in ("", "unknown", "_hidden", "203.0.113.1:x", "1.2.3", "[]", "<b>", "a:1", ":1")),
        ],
    )
    def test_an_address_is_read_however_it_is_written(self, hop: str, address: str) -> None:
        assert plain_address(hop) == address

    @pytest.mark.parametrize(
        ("forwarded", "proxies", "address"),
        [
            ("6.6.6.6:1,  203.0.113.1:2 ,10.0.0.1", 2, "203.0.113.1"),
            ("203.0.113.1,", 1, "203.0.113.1"),
            ("203.0.113.1", 0, ""),
            ("203.0.113.1", 2, ""),
            ("203.0.113.1", -1, ""),
            ("6.6.6.6, unknown", 1, ""),
            ("", 1, ""),
        ],
    )
    def test_it_is_the_one_that_the_outermost_trusted_proxy_saw(
        self, forwarded: str, proxies: int, address: str
    ) -> None:
        assert client_address(forwarded, proxies) == address

    @pytest.mark.parametrize("address", ["203.0.113.{}:4{}", "[2001:db8:0:{}::1]:4{}", "::ffff:203.0.113.{}"])
    def test_08_forwarded_with_port_stops_that_client_alone(self, db: None, settings: Any, address: str) -> None:
        settings.TRUSTED_PROXIES = 1
        form = {"login": "nobody@example.com", "password": "wrong"}

        def guess(client: int, port: int) -> int:
            seen = address.format(client, port)
            return Client().post("/sign-in/", form, headers={"x-forwarded-for": seen}).status_code

        answers = [guess(1, port) for port in range(31)]
        assert answers[-1] == 429
        assert guess(2, 1) == 200


class TestPublicUrl:
    @pytest.mark.parametrize(
        ("given", "url"),
        [
            ("http://127.0.0.1:8360/", "http://127.0.0.1:8360"),
            ("https://studio.example.com", "https://studio.example.com"),
            ("HTTPS://Studio.Example.COM:443//", "https://studio.example.com"),
            ("http://studio.example.com:80", "http://studio.example.com"),
            ("https://studio.example.com:80", "https://studio.example.com:80"),
            ("https://studio.example.com./", "https://studio.example.com"),
            ("http://[2001:DB8::1]:8000/", "http://[2001:db8::1]:8000"),
            ("http://[2001:db8:0:0::0001]:80/", "http://[2001:db8::1]"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://例え。テスト。", "https://xn--r8jz45g.xn--zckzah"),
        ],
    )
    def test_09_public_url_with_a_slash(self, monkeypatch: pytest.MonkeyPatch, given: str, url: str) -> None:
        assert public_url(given) == url
        found = settings_with(monkeypatch, PUBLIC_URL=f" {given} ")
        assert found["PUBLIC_URL"] == url
        assert found["CSRF_TRUSTED_ORIGINS"] == [url]
        assert found["HTTPS"] is url.startswith("https:")

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ("studio.example.com", "lacks http:// or https://"),
            ("localhost:8000", "lacks http:// or https://"),
            ("//studio.example.com", "lacks http:// or https://"),
            ("ftp://studio.example.com", "begins with neither http:// nor https://"),
            ("https://studio.example.com/studio", "has a path"),
            ("https://studio.example.com/studio/", "has a path"),
            ("https://studio.example.com/?a=1", "has a path"),
            ("https://studio.example.com/#top", "has a path"),
            ("https://", "names no host"),
            ("https://me:secret@studio.example.com", "names no host"),
            ("https://my_host", "names no host"),
            ("https://a b", "names no host"),
            ("https://*.example.com", "names no host"),
            ("https://studio.example.com:99999", "names no host"),
            ("https://studio.example.com:port", "names no host"),
            ("https://[::1", "names no host"),
            ("https://a..example", "names no host"),
        ],
    )
    def test_what_cannot_work_is_refused_in_a_sentence(
        self, monkeypatch: pytest.MonkeyPatch, given: str, why: str
    ) -> None:
        with pytest.raises(StartFailure) as refused:
            settings_with(monkeypatch, PUBLIC_URL=given)
        said = str(refused.value)
        assert said.startswith(f"PUBLIC_URL {why}")
        assert said.endswith(": write it like https://studio.example.com.")
        assert "secret" not in said

    @pytest.mark.parametrize(
        ("variables", "url"),
        [
            ({}, "http://127.0.0.1:8000"),
            ({"PUBLIC_URL": ""}, "http://127.0.0.1:8000"),
            ({"HOST": "0.0.0.0", "PORT": "81"}, "http://localhost:81"),
            ({"HOST": "2001:db8::1"}, "http://[2001:db8::1]:8000"),
        ],
    )
    def test_without_it_the_address_is_where_the_studio_listens(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
    ) -> None:
        assert settings_with(monkeypatch, **variables)["PUBLIC_URL"] == url

    @pytest.mark.parametrize("given", ["one", "1.5", "1 2"])
    def test_a_number_of_proxies_that_is_none_is_refused_in_a_sentence(
        self, monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        monkeypatch.setenv("TRUSTED_PROXIES", given)
        with pytest.raises(StartFailure, match=r"TRUSTED_PROXIES is not a whole number: leave it out for 0\."):
            settings_with(monkeypatch)
        monkeypatch.setenv("TRUSTED_PROXIES", " ")
        assert settings_with(monkeypatch, PORT="")["TRUSTED_PROXIES"] == 0

    def test_allowed_hosts_are_further_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = settings_with(
            monkeypatch,
            PUBLIC_URL="https://studio.example.com:8443",
            HOST="2001:db8::1",
            ALLOWED_HOSTS="inside.example, other.example",
        )
        hosts = {"127.0.0.1", "localhost", "[::1]", "[2001:db8::1]", "studio.example.com"}
        assert set(found["ALLOWED_HOSTS"]) == hosts | {"inside.example", "other.example"}


class TestHosts:
    @pytest.fixture(autouse=True)
    def _public(self, settings: Any) -> None:
        settings.PUBLIC_URL = "http://studio.test:8447"
        settings.CSRF_TRUSTED_ORIGINS = ["http://studio.test:8447"]
        settings.ALLOWED_HOSTS = ["studio.test", "127.0.0.1", "localhost"]
        settings.TRUSTED_PROXIES = 1

    def send_form(self, host: str, origin: str) -> int:
        """Sign in as a browser does whose Host a proxy has changed."""
        user = person("admin")
        user.set_password(PASSWORD)
        user.save()
        client = Client(enforce_csrf_checks=True, headers={"host": host})
        shown = client.get("/sign-in/").content.decode()
        found = re.search(r'csrfmiddlewaretoken" value="([^"]+)', shown)
        assert found
        form = {"csrfmiddlewaretoken": found[1], "login": user.email, "password": PASSWORD}
        return client.post("/sign-in/", form, headers={"origin": origin}).status_code

    @pytest.mark.parametrize("proxies", [0, 1])
    @pytest.mark.parametrize("host", ["studio.test", "studio.test:8447", "127.0.0.1:8360"])
    def test_10_plain_http_proxy_whose_forms_are_taken(self, db: None, settings: Any, proxies: int, host: str) -> None:
        settings.TRUSTED_PROXIES = proxies
        assert self.send_form(host, "http://studio.test:8447") == 302

    @pytest.mark.parametrize(
        "origin", ["http://studio.test", "http://evil.test:8447", "https://studio.test:8447", "null"]
    )
    def test_forms_of_any_other_address_are_refused(self, db: None, origin: str) -> None:
        assert self.send_form("studio.test", origin) == 403

    @pytest.mark.parametrize(
        ("proxies", "host", "netloc"),
        [
            (1, "studio.test", "studio.test:8447"),
            (1, "Studio.Test", "studio.test:8447"),
            (1, "studio.test:8447", "studio.test:8447"),
            (1, "localhost", "localhost"),
            (0, "studio.test", "studio.test"),
        ],
    )
    def test_a_proxy_may_leave_out_the_port(
        self, db: None, settings: Any, proxies: int, host: str, netloc: str
    ) -> None:
        settings.TRUSTED_PROXIES = proxies
        settings.SECURE_SSL_REDIRECT = True
        answer = Client().get("/agents/", headers={"host": host})
        assert answer.headers["location"] == f"https://{netloc}/agents/"

    @pytest.mark.parametrize("host", ["10.1.2.3:8000", "[2001:db8::7]:8000", "evil.example", "a b", ""])
    def test_11_health_by_address(self, db: None, settings: Any, host: str) -> None:
        for proxies in (0, 1):
            settings.TRUSTED_PROXIES = proxies
            for method in ("get", "head"):
                assert getattr(Client(), method)(HEALTH, headers={"host": host}).status_code == 200
        assert Client().get("/sign-in/", headers={"host": host}).status_code == 400

    def test_a_refused_host_is_told_which_setting_names_it(self, db: None) -> None:
        answer = Client().get("/sign-in/", headers={"host": "evil.example"})
        assert answer.status_code == 400
        assert "ALLOWED_HOSTS" in text(answer)
        assert "PUBLIC_URL" in text(answer)
        answer = Client().get("/api/agents/list", headers={"host": "evil.example"})
        assert "ALLOWED_HOSTS" in answer.json()["detail"]
