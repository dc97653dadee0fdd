"""Who gets into the API, and how far: keys, scopes, agents, the rate limit."""

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent, ApiKey
from tests.calls import ALL, Answer, Api
from tests.world import write_thread

# what each operation takes: method, path below an agent (or whole, for the first three), scope, body
OPERATIONS = [
    ("GET", "agents/list", "agents:read", None),
    ("POST", "agents", "admin", {"name": "New"}),
    ("GET", "metadata/default_llm_extra_headers", "agents:read", None),
    ("GET", "agents/{id}", "agents:read", None),
    ("DELETE", "agents/{id}", "admin", None),
    ("GET", "agents/{id}/db", "connect", None),
    ("GET", "agents/{id}/memory", "agents:read", None),
    ("PATCH", "agents/{id}/memory", "settings:write", {"num_history_runs": 5}),
    ("GET", "agents/{id}/users", "agents:read", None),
    ("GET", "agents/{id}/threads", "agents:read", None),
    ("GET", "agents/{id}/threads?include=runs", "threads:read", None),
    ("GET", "agents/{id}/threads/t-1", "agents:read", None),
    ("DELETE", "agents/{id}/threads/t-1", "threads:delete", None),
    ("GET", "agents/{id}/threads/t-1/runs", "threads:read", None),
    ("GET", "agents/{id}/threads/t-1/messages", "threads:read", None),
]
of_an_agent = pytest.mark.parametrize(("method", "path", "scope", "body"), OPERATIONS[3:])
every_operation = pytest.mark.parametrize(("method", "path", "scope", "body"), OPERATIONS)


def call(api: Api, method: str, path: str, body: object, agent_id: str = "agt-ada") -> Answer:
    return api(method, path.format(id=agent_id), body)


@pytest.fixture(autouse=True)
def thread(ada: Agent, bruno: Agent) -> None:
    write_thread(ada, "t-1")
    write_thread(bruno, "t-1")


def routes(patterns: list[URLPattern | URLResolver]) -> set[str]:
    return {str(pattern.pattern) for pattern in patterns}


def test_the_table_above_has_every_operation() -> None:
    described = {
        (method.upper(), path.removeprefix("/api/"))
        for path, methods in Api().get("openapi.json")["paths"].items()
        for method in methods
    }
    tested = {
        (method, path.partition("?")[0].replace("{id}", "{agent_id}").replace("t-1", "{session_id}"))
        for method, path, _, _ in OPERATIONS
    }
    assert described == tested


@every_operation
def test_it_answers_a_key_with_the_one_scope(method: str, path: str, scope: str, body: object) -> None:
    assert call(Api.with_key(scope), method, path, body).status < 300


@every_operation
def test_it_refuses_a_key_with_every_other_scope(method: str, path: str, scope: str, body: object) -> None:
    others = [one for one in ALL if one not in (scope, "admin")]
    answer = call(Api.with_key(*others), method, path, body)
    assert answer.said == (403, f"This takes a key with the scope {scope}.")


@every_operation
def test_it_refuses_a_call_without_a_key(stranger: Api, method: str, path: str, scope: str, body: object) -> None:
    assert call(stranger, method, path, body).said == (401, "Send a valid API key in the header x-api-key.")


@of_an_agent
def test_it_hides_agents_that_the_key_is_not_for(ada: Agent, method: str, path: str, scope: str, body: object) -> None:
    api = Api.with_key(agents=[ada])
    assert call(api, method, path, body).status < 300
    hidden = call(api, method, path, body, "agt-bruno")
    missing = call(api, method, path, body, "agt-nobody")
    assert hidden.said == missing.said
    assert hidden.status == 404


def test_it_lists_only_agents_that_the_key_is_for(ada: Agent) -> None:
    assert [agent["id"] for agent in Api.with_key(agents=[ada]).get("agents/list")] == ["agt-ada"]


def test_a_key_for_some_agents_makes_none(ada: Agent) -> None:
    answer = Api.with_key(agents=[ada])("POST", "agents", {"name": "New"})
    assert answer.said == (403, "This takes a key for all agents.")


def test_a_key_whose_only_agent_was_removed_reaches_nothing(bruno: Agent) -> None:
    api = Api.with_key(agents=[bruno])
    assert api("DELETE", "agents/agt-bruno").status == 204
    assert api.get("agents/list") == []
    assert api("GET", "agents/agt-ada").status == 404


def test_admin_includes_the_other_scopes() -> None:
    api = Api.with_key("admin")
    assert api("GET", "agents/agt-ada/threads/t-1/messages").status == 200


def test_a_key_opens_no_page(api: Api) -> None:
    assert api.client.get("/agents/").headers["location"] == "/sign-in/?next=/agents/"


@pytest.mark.parametrize(
    "key",
    ["", "ams_", "ams_aaaaaaaa_" + "a" * 43, "é", "ams_aaaaaaaa_" + "a" * 42 + "\n", "x" * 10_000, "ams_ａ_a"],
)
def test_it_refuses_what_is_no_key(stranger: Api, key: str) -> None:
    assert stranger("GET", "agents/list", x_api_key=key.encode().decode("latin-1")).status == 401


def test_it_refuses_a_key_with_one_wrong_character(api: Api) -> None:
    wrong = api.key[:-1] + ("a" if api.key[-1] != "a" else "b")
    assert Api(wrong)("GET", "agents/list").status == 401


def test_it_refuses_a_revoked_key(api: Api) -> None:
    keys.revoke(Actor.system(), ApiKey.objects.latest("id"))
    assert api("GET", "agents/list").status == 401


def test_it_refuses_a_key_that_is_over(api: Api) -> None:
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert api("GET", "agents/list").status == 401


def test_it_says_when_to_come_back_above_the_limit(settings: LazySettings) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3
    api, other = Api.with_key("agents:read"), Api.with_key("agents:read")
    answers = [api("GET", "agents/list") for _ in range(8)]
    refused = [answer for answer in answers if answer.status == 429]
    # at most one new minute can begin on the way
    assert 2 <= len(refused) <= 5
    assert refused[0].said == (429, "This key may make 3 requests a minute.")
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert other("GET", "agents/list").status == 200


def test_wrong_keys_do_not_use_up_the_limit_of_a_right_one(settings: LazySettings) -> None:
    settings.API_REQUESTS_PER_MINUTE = 2
    api = Api.with_key("agents:read")
    wrong = Api(api.key[:-1] + ("a" if api.key[-1] != "a" else "b"))
    for _ in range(5):
        assert wrong("GET", "agents/list").status == 401
    assert api("GET", "agents/list").status == 200


def test_every_address_of_the_api_is_open_to_no_session_and_asks_for_no_form_token() -> None:
    api = next(one for one in get_resolver().url_patterns if str(one.pattern) == "api/")
    assert isinstance(api, URLResolver)
    assert len(api.url_patterns) > len(OPERATIONS) // 2
    for pattern in api.url_patterns:
        assert pattern.callback.csrf_exempt
        assert pattern.callback.login_required is False
