"""Signing in by OpenID Connect, against a small provider on loopback."""

import json
import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from studio.models import AuditEvent, Session, User
from tests.reading import form_with, links, text
from tests.world import is_in, person, signed_in, sql

START = "/sign-in/oidc/sso/"
CALLBACK = "/sign-in/oidc/sso/callback/"
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "absent"})()
CLIENT = {"client_id": "studio", "secret": "a-secret-of-32-characters-or-more"}


class Provider:
    """What it says of whoever signs in, and what it was sent."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "u-1", "email": "Viewer@example.com", "email_verified": True}
        # what its ID token, its userinfo, its answer with tokens and its description hold instead; ABSENT takes away
        self.in_token: dict[str, Any] = {}
        self.in_userinfo: dict[str, Any] = {}
        self.in_answer: dict[str, Any] = {}
        self.in_description: dict[str, Any] = {}
        self.issuer = ""
        self.nonce = ""
        self.tokens: list[dict[str, str]] = []
        self.status = 200
        # paths from which it redirects, and all that were asked for
        self.moved: set[str] = set()
        self.paths: list[str] = []

    def answer(self, path: str, form: dict[str, str]) -> Any:
        if path == "/.well-known/openid-configuration":
            ends = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            description = {
                "issuer": self.issuer,
                "jwks_uri": self.issuer + "/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                **{f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in ends.items()},
            }
            return changed(description, self.in_description)
        if path == "/token":
            self.tokens.append(form)
            now = int(time.time())
            usual = {"iss": self.issuer, "aud": CLIENT["client_id"], "iat": now, "exp": now + 60, "nonce": self.nonce}
            token = signed(changed({**usual, **self.claims}, self.in_token))
            return changed({"access_token": "at", "token_type": "bearer", "id_token": token}, self.in_answer)
        return changed(self.claims, self.in_userinfo) if path == "/userinfo" else {"keys": []}


def changed(usual: dict[str, Any], instead: Any) -> Any:
    """What is usual with something else in its place, as a whole or by name."""
    if not isinstance(instead, dict):
        return instead
    return {name: value for name, value in {**usual, **instead}.items() if value is not ABSENT}


def signed(claims: Any, algorithm: str = "HS256") -> str:
    """A JWT of any claims, also of those that the library would not sign."""
    payload = json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, CLIENT["secret"] if algorithm != "none" else "", algorithm=algorithm)


def repr_of(value: Any) -> str:
    """A name for a case that is the same in every process."""
    return repr(value)[:40]


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    """A provider that serves on loopback, and a studio that is set up to use it."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            path = urlsplit(self.path).path
            provider.paths.append(path)
            body = json.dumps(provider.answer(path.removeprefix("/moved"), form)).encode()
            self.send_response(307 if path in provider.moved else provider.status)
            self.send_header("Location", f"{provider.issuer}/moved{path}")
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
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    yield provider
    server.shutdown()
    server.server_close()


def start(client: Client, provider: Provider, query: str = "") -> dict[str, str]:
    """Follow the link of the sign-in page to the provider, and return what the provider is asked."""
    answer = client.get(START + query)
    assert answer.status_code == 302
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    provider.nonce = asked["nonce"]
    return asked


def finish(client: Client, asked: dict[str, str], **more: str) -> Any:
    return client.get(CALLBACK, {"code": "c-1", "state": asked["state"], **more})


class TestSomebodyWhoWasInvited:
    def test_is_signed_in(self, db: None, provider: Provider) -> None:
        client = Client()
        assert START in links(client.get("/sign-in/"))
        asked = start(client, provider)
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
            assert finish(client, start(client, provider, f"?next={wanted}")).headers["location"] == got

    def test_is_known_by_the_providers_id_later(self, db: None, provider: Provider) -> None:
        first = Client()
        finish(first, start(first, provider))
        provider.claims = {"sub": "u-1", "email": "new@example.org", "email_verified": True}
        second = Client()
        finish(second, start(second, provider))
        assert second.get("/agents/").context["user"].email == "viewer@example.com"
        assert SocialAccount.objects.count() == 1

    def test_keeps_their_password_and_role(self, db: None, provider: Provider) -> None:
        client = Client()
        finish(client, start(client, provider))
        user = person("viewer")
        assert user.check_password("correct horse battery")
        assert client.get("/people/").status_code == 403

    def test_is_still_asked_for_a_second_factor(self, db: None, provider: Provider) -> None:
        user = person("viewer")
        Authenticator.objects.create(user=user, type="totp", data={"secret": "x"})
        client = Client()
        assert finish(client, start(client, provider)).headers["location"] == "/sign-in/factor/"
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
        answer = finish(client, start(client, provider))
        assert answer.status_code == 403
        assert "You are not invited yet" in text(answer)
        assert not is_in(client)
        assert User.objects.count() == before
        assert not SocialAccount.objects.exists()

    def test_a_deactivated_person(self, db: None, provider: Provider) -> None:
        User.objects.filter(email="viewer@example.com").update(is_active=False)
        client = Client()
        assert finish(client, start(client, provider)).headers["location"] == "/sign-in/inactive/"
        assert not is_in(client)

    def test_an_answer_that_nobody_asked_for(self, db: None, provider: Provider) -> None:
        """Neither a made-up state nor that of another browser works."""
        asked = start(Client(), provider)
        for state in ("made-up", asked["state"]):
            client = Client()
            assert finish(client, {"state": state}).status_code == 403
            assert not is_in(client)

    def test_an_answer_that_is_sent_twice(self, db: None, provider: Provider) -> None:
        client = Client()
        asked = start(client, provider)
        finish(client, asked)
        client.post("/sign-out/")
        assert finish(client, asked).status_code == 403
        assert not is_in(client)

    def test_somebody_who_said_no(self, db: None, provider: Provider) -> None:
        client = Client()
        answer = client.get(CALLBACK, {"error": "access_denied", "state": start(client, provider)["state"]})
        assert answer.status_code == 403
        assert "Try again" in text(answer)

    def test_another_account_cannot_be_connected_to_whoever_is_signed_in(
        self, page: Client, provider: Provider
    ) -> None:
        assert page.get(f"{START}?process=connect").status_code == 400

    @pytest.mark.parametrize("more", ["auth_params=redirect_uri%3Dhttps://evil.example", "scope=admin", "action=x"])
    def test_a_link_changes_nothing_of_what_the_provider_is_asked(
        self, db: None, provider: Provider, more: str
    ) -> None:
        assert Client().get(f"{START}?{more}").status_code == 400


class TestWithoutIt:
    def test_it_is_neither_offered_nor_there(self, db: None) -> None:
        assert START not in Client().get("/sign-in/").content.decode()
        assert Client().get(START).status_code == Client().get(CALLBACK).status_code == 404

    def test_a_provider_that_does_not_answer_is_said(self, db: None, provider: Provider) -> None:
        provider.status = 500
        answer = Client().get(START)
        assert answer.status_code == 503
        assert "Acme does not answer" in text(answer)


class TestClaims:
    """Each claim that decides counts by type and value; the person is invited, and all else is as it should be."""

    NOT_TRUE: ClassVar = [
        *("false", "no", "0", "", "True", "TRUE", " true", "true ", "yes", "1"),
        *(1, 0, 1.0, None, False, [], ["x"], [True], ["true"], {}, {"a": 1}, {"true": True}),
    ]
    WRONG: ClassVar = {
        "iss": [ABSENT, "https://evil.example", "", None, True, 1, [], {}, ["ISSUER"], {"ISSUER": 1}, "ISSUER/"],
        "aud": [
            *(ABSENT, "another", "", None, True, 1, [], {}, {"studio": 1}, [["studio"]], ["another"]),
            *("studio another", "Studio", ["studio", 1], ["studio", None], ["studio", "another"]),
        ],
        "azp": ["another", None, "", True, ["studio"], {"studio": 1}],
        "nonce": [ABSENT, "made-up", "", None, True, 1, ["NONCE"], {"NONCE": 1}, "NONCE ", "nonce"],
        "exp": [
            *(ABSENT, 0, 1, -1, None, True, "", "x", [], {}, "9999999999", ["9999999999"], [9999999999]),
            *(math.nan, math.inf, -math.inf, "NaN", "Infinity", 10**400, -(10**400)),
        ],
        "iat": [None, True, "1", "9999999999", 9999999999, math.nan, math.inf, [], {}],
        "nbf": [None, True, "1", 9999999999, math.nan, math.inf, []],
        "sub": [ABSENT, "", None, True, 1, 1.5, [], {}, ["u-1"], {"u-1": 1}, "u" * 192, "u\x00", "u\n1"],
    }
    NO_EMAIL: ClassVar = [
        *(ABSENT, None, True, 1, "", "x", [], {}, ["viewer@example.com"], {"viewer@example.com": True}),
        *("viewer@example.com, x@example.com", " viewer@example.com", "viewer@example.com\n", "viewer@example.com\x00"),
        *("<viewer@example.com>", "v\u0131ewer@example.com", "viewer@example.com" + "m" * 250),
    ]

    def enters(self, provider: Provider) -> bool:
        client = Client()
        answer = finish(client, start(client, provider))
        assert answer.status_code in (302, 403)
        return is_in(client)

    def filled(self, provider: Provider, value: Any) -> Any:
        """The value with the right issuer and nonce in it, for what is almost right."""
        if value is ABSENT or isinstance(value, float):
            return value
        return json.loads(json.dumps(value).replace("ISSUER", provider.issuer).replace("NONCE", provider.nonce))

    @pytest.mark.parametrize("good", [True, "true"])
    def test_a_verified_email_lets_in(self, db: None, provider: Provider, good: Any) -> None:
        provider.claims["email_verified"] = good
        assert self.enters(provider)

    @pytest.mark.parametrize("bad", [*NOT_TRUE, ABSENT], ids=repr_of)
    @pytest.mark.parametrize("places", ["both", "token", "userinfo"])
    def test_any_other_mark_does_not(self, db: None, provider: Provider, bad: Any, places: str) -> None:
        for place, part in (("token", provider.in_token), ("userinfo", provider.in_userinfo)):
            if places in ("both", place) and not (bad is ABSENT and places != "both"):
                part["email_verified"] = bad
        if bad is ABSENT and places != "both":
            provider.claims["email_verified"] = ABSENT
        assert not self.enters(provider)
        assert not SocialAccount.objects.exists()

    def test_a_mark_that_is_taken_back_keeps_out_whoever_was_in(self, db: None, provider: Provider) -> None:
        assert self.enters(provider)
        provider.claims["email_verified"] = "false"
        assert not self.enters(provider)

    @pytest.mark.parametrize("email", NO_EMAIL, ids=repr_of)
    def test_what_is_no_email_does_not(self, db: None, provider: Provider, email: Any) -> None:
        provider.claims["email"] = email
        assert not self.enters(provider)

    def test_a_letter_that_only_looks_lower_does_not(self, db: None, provider: Provider) -> None:
        """The Kelvin sign is k in lower case, and an address of its own."""
        User.objects.filter(email="viewer@example.com").update(email="mike@example.com")
        provider.claims["email"] = "mi\u212ae@example.com"
        assert not self.enters(provider)
        provider.claims["email"] = "MIKE@Example.com"
        assert self.enters(provider)

    @pytest.mark.parametrize("where", ["in_token", "in_userinfo"])
    def test_two_emails_do_not(self, db: None, provider: Provider, where: str) -> None:
        getattr(provider, where)["email"] = "support@example.com"
        assert not self.enters(provider)

    @pytest.mark.parametrize(
        ("claim", "bad"), [(claim, bad) for claim, bads in WRONG.items() for bad in bads], ids=repr_of
    )
    def test_a_token_with_a_claim_that_is_wrong_does_not(
        self, db: None, provider: Provider, claim: str, bad: Any
    ) -> None:
        client = Client()
        asked = start(client, provider)
        provider.in_token[claim] = self.filled(provider, bad)
        answer = finish(client, asked)
        assert answer.status_code == 403
        assert "did not confirm who you are" in text(answer)
        assert not is_in(client)

    @pytest.mark.parametrize("audience", ["studio", ["studio"], ["studio", "another"]], ids=repr_of)
    def test_an_audience_lets_in_as_text_or_as_a_list_with_the_party(
        self, db: None, provider: Provider, audience: Any
    ) -> None:
        provider.in_token |= {"aud": audience, "azp": "studio"}
        assert self.enters(provider)

    @pytest.mark.parametrize("sub", [ABSENT, "u-2", "", None, True, 1, ["u-1"], {"u-1": 1}, "U-1"], ids=repr_of)
    def test_userinfo_of_somebody_else_does_not(self, db: None, provider: Provider, sub: Any) -> None:
        provider.in_userinfo["sub"] = sub
        assert not self.enters(provider)

    def test_an_answer_to_another_sign_in_does_not(self, db: None, provider: Provider) -> None:
        client = Client()
        asked = start(client, provider)
        start(Client(), provider)
        assert finish(client, asked).status_code == 403
        assert not is_in(client)

    def test_without_userinfo_the_token_is_enough(self, db: None, provider: Provider) -> None:
        provider.in_description["userinfo_endpoint"] = ABSENT
        assert self.enters(provider)

    def test_another_issuers_ids_are_not_this_ones(self, db: None, provider: Provider) -> None:
        """Else whoever has the same id at a provider that replaces the first one would be that person."""
        assert self.enters(provider)
        SocialAccount.objects.update(extra_data={"id_token": {"iss": "https://first.example"}})
        provider.claims["email"] = "support@example.com"
        client = Client()
        finish(client, start(client, provider))
        assert client.get("/agents/").context["user"].email == "support@example.com"


class TestAnotherSite:
    """Nobody is signed in because a page somewhere has led their browser here."""

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "x"])
    def test_its_link_leads_to_the_sign_in_page(self, db: None, provider: Provider, site: str) -> None:
        client = Client()
        answer = client.get(START + "?next=/keys/", headers={"sec-fetch-site": site})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/?next=%2Fkeys%2F")
        assert provider.paths == []
        assert "session" not in client.cookies

    def test_an_old_browser_is_known_by_the_page_it_came_from(self, db: None, provider: Provider) -> None:
        answer = Client().get(START, headers={"referer": "https://evil.example/"})
        assert answer.headers["location"] == "/sign-in/"
        assert Client().get(START, headers={"referer": "http://testserver/sign-in/"}).status_code == 302

    @pytest.mark.parametrize("site", ["same-origin", "none"])
    def test_ones_own_act_leads_to_the_provider(self, db: None, provider: Provider, site: str) -> None:
        answer = Client().get(START, headers={"sec-fetch-site": site})
        assert answer.headers["location"].startswith(provider.issuer)


class TestAFreshProof:
    """The provider may let somebody in whom it has not asked for days: that confirms nothing."""

    ADD = "/account/factors/app/add/"
    OLD: ClassVar = [ABSENT, 0, -1, None, True, "", "now", [], {}, math.nan, math.inf, 10**400, 9999999999]

    def asks(self, client: Client) -> bool:
        return "Confirm it is you" in text(client.get(self.ADD))

    def enter(self, client: Client, provider: Provider, auth_time: Any) -> dict[str, str]:
        provider.in_token["auth_time"] = auth_time
        asked = start(client, provider)
        finish(client, asked)
        assert is_in(client)
        return asked

    @pytest.mark.parametrize("said", OLD, ids=repr_of)
    def test_it_takes_the_time_at_which_the_provider_asked(self, db: None, provider: Provider, said: Any) -> None:
        client = Client()
        self.enter(client, provider, said)
        assert self.asks(client)

    @pytest.mark.parametrize(("ago", "asks"), [(-30, False), (0, False), (840, False), (960, True), (-120, True)])
    def test_it_is_good_for_15_minutes_from_then(self, db: None, provider: Provider, ago: int, *, asks: bool) -> None:
        client = Client()
        self.enter(client, provider, int(time.time()) - ago)
        assert self.asks(client) is asks

    def test_whoever_is_signed_in_is_asked_by_the_provider_again(self, db: None, provider: Provider) -> None:
        client = Client()
        assert not {"prompt", "max_age"} & set(self.enter(client, provider, ABSENT))
        # a provider that ignores it
        asked = self.enter(client, provider, int(time.time()) - 3600)
        assert (asked["prompt"], asked["max_age"]) == ("login", "0")
        assert self.asks(client)
        self.enter(client, provider, int(time.time()))
        assert not self.asks(client)

    def test_somebody_elses_proof_is_not_theirs(self, db: None, provider: Provider) -> None:
        """At a browser left open: their own account at the provider, which nobody invited."""
        client = signed_in(person("viewer"), minutes_ago=60)
        provider.claims = {"sub": "u-2", "email": "stranger@example.com", "email_verified": True}
        provider.in_token["auth_time"] = int(time.time())
        assert finish(client, start(client, provider)).status_code == 403
        assert is_in(client)
        assert self.asks(client)

    def test_what_is_open_in_another_tab_can_still_be_sent(self, db: None, provider: Provider) -> None:
        client = Client(enforce_csrf_checks=True)
        self.enter(client, provider, ABSENT)
        User.objects.filter(email="viewer@example.com").update(password="!")
        self.enter(client, provider, ABSENT)
        form = form_with(client.get(self.ADD), "confirm-method")
        self.enter(client, provider, int(time.time()))
        answer = client.post(self.ADD, form.fields)
        assert (answer.status_code, answer.headers["location"]) == (303, self.ADD)


class TestAnOddProvider:
    """Whatever it sends, the answer is a page and nobody is signed in."""

    SHAPES: ClassVar = [None, True, 1, "x", [], [[]], {}, {"id_token": []}]

    def refused(self, provider: Provider) -> bool:
        client = Client()
        asked = start(client, provider)
        answer = finish(client, asked)
        return answer.status_code in (403, 503) and not is_in(client)

    @pytest.mark.parametrize("shape", SHAPES, ids=repr_of)
    @pytest.mark.parametrize("part", ["in_userinfo", "in_answer", "in_token"])
    def test_answers_of_another_shape(self, db: None, provider: Provider, part: str, shape: Any) -> None:
        if isinstance(shape, dict):
            shape = {"sub": {}, "access_token": [], "aud": {}} | shape
        setattr(provider, part, shape)
        assert self.refused(provider)

    @pytest.mark.parametrize("token", [None, 1, [], {}, "", "x", "x.y.z", "\x00", signed([]), signed("x"), "e30." * 3])
    def test_something_that_is_no_id_token(self, db: None, provider: Provider, token: Any) -> None:
        provider.in_answer["id_token"] = token
        assert self.refused(provider)

    @pytest.mark.parametrize(("algorithm", "lets_in"), [("none", False), ("HS256", True)])
    def test_an_id_token_without_a_signature(
        self, db: None, provider: Provider, algorithm: str, *, lets_in: bool
    ) -> None:
        client = Client()
        asked = start(client, provider)
        claims = {"iss": provider.issuer, "aud": "studio", "exp": int(time.time()) + 60, "nonce": provider.nonce}
        provider.in_answer["id_token"] = signed({**claims, **provider.claims}, algorithm)
        finish(client, asked)
        assert is_in(client) is lets_in

    def test_an_id_token_that_is_nested_too_deeply(self, db: None, provider: Provider) -> None:
        deep = jwt.PyJWS().encode(b"[" * 100_000, CLIENT["secret"], algorithm="HS256")
        provider.in_answer["id_token"] = deep
        assert self.refused(provider)

    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/userinfo"])
    def test_it_leads_us_nowhere_else(self, db: None, provider: Provider, path: str) -> None:
        provider.moved = {path}
        client = Client()
        answer = client.get(START)
        if answer.status_code == 302:
            asked = parse_qs(urlsplit(answer.headers["location"]).query)
            provider.nonce = asked["nonce"][0]
            answer = finish(client, {"state": asked["state"][0]})
        assert answer.status_code in (403, 503)
        assert not is_in(client)
        assert path in provider.paths
        assert not [asked for asked in provider.paths if asked.startswith("/moved")]

    @pytest.mark.parametrize("expires", ["x", [], -1, 1e400, 10**30], ids=repr_of)
    def test_times_that_nobody_needs_do_no_harm(self, db: None, provider: Provider, expires: Any) -> None:
        provider.in_answer["expires_in"] = expires
        client = Client()
        finish(client, start(client, provider))
        assert is_in(client)

    @pytest.mark.parametrize(
        "description",
        [
            *([], None, "x", {"issuer": "https://evil.example"}, {"issuer": ABSENT}, {"issuer": ["x"]}),
            *({"authorization_endpoint": ABSENT}, {"token_endpoint": ABSENT}),
            *({"authorization_endpoint": "http://id.example/"}, {"token_endpoint": "http://id.example/"}),
            *({"userinfo_endpoint": "http://id.example/"}, {"userinfo_endpoint": "ftp://127.0.0.1/"}),
        ],
        ids=repr_of,
    )
    def test_a_description_of_another_shape_or_issuer(self, db: None, provider: Provider, description: Any) -> None:
        provider.in_description = description
        answer = Client().get(START)
        assert answer.status_code == 403
        assert "Try again" in text(answer)


@pytest.mark.parametrize(
    ("stored", "stays"),
    [
        ({"userinfo": {"email": "Viewer@example.com", "email_verified": True}}, True),
        ({"id_token": {"email": "viewer@example.com", "email_verified": "true"}}, True),
        ({"email": "viewer@example.com", "email_verified": True}, True),
        ({"userinfo": {"email": "viewer@example.com", "email_verified": "false"}}, False),
        ({"userinfo": {"email": "viewer@example.com", "email_verified": 1}}, False),
        ({"userinfo": {"email": "viewer@example.com"}, "id_token": {"email_verified": True}}, False),
        ({"userinfo": {"email": "other@example.com", "email_verified": True}}, False),
        ({}, False),
    ],
    ids=repr_of,
)
def test_whoever_was_let_in_by_an_unverified_email_is_forgotten(
    db: None, stored: dict[str, Any], *, stays: bool
) -> None:
    """The migration of this release, over what earlier ones have stored."""
    SocialAccount.objects.create(user=person("viewer"), provider="sso", uid="u-1", extra_data=stored)
    sql(import_module("studio.migrations.0012_tries").UNVERIFIED.replace("%", "%%"))
    assert SocialAccount.objects.exists() is stays


def test_beginning_is_limited_because_each_makes_a_session(db: None, provider: Provider) -> None:
    answers = [Client().get(START) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [302] * 30 + [429]
    assert Session.objects.count() == 30
