"""Signing in by OpenID Connect, against a small provider on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from studio.models import AuditEvent, User
from tests.reading import links, text
from tests.world import is_in, person

START = "/sign-in/oidc/sso/"
CALLBACK = "/sign-in/oidc/sso/callback/"
CLIENT = {"client_id": "studio", "secret": "a-secret-of-32-characters-or-more"}


class Provider:
    """What it says of whoever signs in, and what it was sent."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "u-1", "email": "Viewer@example.com", "email_verified": True}
        self.audience = CLIENT["client_id"]
        self.issuer = ""
        self.tokens: list[dict[str, str]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return self.issuer

    def answer(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            ends = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            return {
                "issuer": self.issuer,
                "jwks_uri": self.issuer + "/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                **{f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in ends.items()},
            }
        if path == "/token":
            self.tokens.append(form)
            now = int(time.time())
            claims = {"iss": self.issuer, "aud": self.audience, "iat": now, "exp": now + 60, **self.claims}
            token = jwt.encode(claims, CLIENT["secret"], algorithm="HS256")
            return {"access_token": "at", "token_type": "bearer", "id_token": token}
        return self.claims if path == "/userinfo" else {"keys": []}


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    """A provider that serves on loopback, and a studio that is set up to use it."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            body = json.dumps(provider.answer(urlsplit(self.path).path, form)).encode()
            self.send_response(provider.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    settings.OIDC_NAME = "Acme"
    app = {"provider_id": "sso", "name": "Acme", "settings": {"server_url": provider.issuer}, **CLIENT}
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield provider
    server.shutdown()
    server.server_close()


def start(client: Client, query: str = "") -> dict[str, str]:
    """Follow the link of the sign-in page to the provider, and return what the provider is asked."""
    answer = client.get(START + query)
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def finish(client: Client, asked: dict[str, str], **more: str) -> Any:
    return client.get(CALLBACK, {"code": "c-1", "state": asked["state"], **more})


class TestSomebodyWhoWasInvited:
    def test_is_signed_in(self, db: None, provider: Provider) -> None:
        client = Client()
        assert START in links(client.get("/sign-in/"))
        asked = start(client)
        assert asked["client_id"] == "studio"
        assert asked["redirect_uri"].endswith(CALLBACK)
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"]
        assert finish(client, asked).headers["location"] == "/agents/"
        assert is_in(client)
        assert provider.tokens[0]["code"] == "c-1"
        assert provider.tokens[0]["code_verifier"]
        event = AuditEvent.objects.get(action="person.sign_in")
        assert (event.object, event.data) == ("viewer@example.com", {"how": "OpenID Connect"})

    def test_gets_the_page_that_was_wanted_and_nothing_off_the_site(self, db: None, provider: Provider) -> None:
        for wanted, got in (("/account/", "/account/"), ("https://evil.example/", "/agents/")):
            client = Client()
            assert finish(client, start(client, f"?next={wanted}")).headers["location"] == got

    def test_is_known_by_the_providers_id_later(self, db: None, provider: Provider) -> None:
        first = Client()
        finish(first, start(first))
        provider.claims = {"sub": "u-1", "email": "new@example.org", "email_verified": True}
        second = Client()
        finish(second, start(second))
        assert second.get("/agents/").context["user"].email == "viewer@example.com"
        assert SocialAccount.objects.count() == 1

    def test_keeps_their_password_and_role(self, db: None, provider: Provider) -> None:
        client = Client()
        finish(client, start(client))
        user = person("viewer")
        assert user.check_password("correct horse battery")
        assert client.get("/people/").status_code == 403

    def test_is_still_asked_for_a_second_factor(self, db: None, provider: Provider) -> None:
        user = person("viewer")
        Authenticator.objects.create(user=user, type="totp", data={"secret": "x"})
        client = Client()
        assert finish(client, start(client)).headers["location"] == "/sign-in/factor/"
        assert not is_in(client)


class TestNobodyElse:
    @pytest.mark.parametrize(
        "claims",
        [
            {"sub": "u-2", "email": "stranger@example.com", "email_verified": True},
            {"sub": "u-2", "email": "viewer@example.com", "email_verified": False},
            {"sub": "u-2", "email": "viewer@example.com"},
            {"sub": "u-2"},
        ],
        ids=["not invited", "not verified", "verified is not said", "no email"],
    )
    def test_a_stranger_stays_out_and_is_told_why(self, db: None, provider: Provider, claims: dict[str, Any]) -> None:
        provider.claims = claims
        client, before = Client(), User.objects.count()
        answer = finish(client, start(client))
        assert answer.status_code == 403
        assert "You are not invited yet" in text(answer)
        assert not is_in(client)
        assert User.objects.count() == before
        assert not SocialAccount.objects.exists()

    def test_a_deactivated_person(self, db: None, provider: Provider) -> None:
        User.objects.filter(email="viewer@example.com").update(is_active=False)
        client = Client()
        assert finish(client, start(client)).headers["location"] == "/sign-in/inactive/"
        assert not is_in(client)

    def test_an_answer_that_nobody_asked_for(self, db: None, provider: Provider) -> None:
        """Neither a made-up state nor that of another browser works."""
        asked = start(Client())
        for state in ("made-up", asked["state"]):
            client = Client()
            assert finish(client, {"state": state}).status_code == 403
            assert not is_in(client)

    def test_an_answer_that_is_sent_twice(self, db: None, provider: Provider) -> None:
        client = Client()
        asked = start(client)
        finish(client, asked)
        client.post("/sign-out/")
        assert finish(client, asked).status_code == 403
        assert not is_in(client)

    @pytest.mark.parametrize("wrong", ["audience", "issuer"])
    def test_a_token_for_somebody_else(self, db: None, provider: Provider, wrong: str) -> None:
        client = Client()
        asked = start(client)
        if wrong == "audience":
            provider.audience = "another"
        else:
            provider.claims["iss"] = "https://evil.example"
        assert finish(client, asked).status_code == 403
        assert not is_in(client)

    def test_somebody_who_said_no(self, db: None, provider: Provider) -> None:
        client = Client()
        answer = client.get(CALLBACK, {"error": "access_denied", "state": start(client)["state"]})
        assert answer.status_code == 403
        assert "Try again" in text(answer)

    def test_another_account_cannot_be_connected_to_whoever_is_signed_in(
        self, page: Client, provider: Provider
    ) -> None:
        answer = page.get(f"{START}?process=connect")
        assert answer.status_code == 400


class TestWithoutIt:
    def test_it_is_neither_offered_nor_there(self, db: None) -> None:
        assert START not in Client().get("/sign-in/").content.decode()
        assert Client().get(START).status_code == Client().get(CALLBACK).status_code == 404

    def test_a_provider_that_does_not_answer_is_said(self, db: None, provider: Provider) -> None:
        provider.status = 500
        answer = Client().get(START)
        assert answer.status_code == 503
        assert "Acme does not answer" in text(answer)
