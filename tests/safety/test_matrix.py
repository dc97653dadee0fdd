"""Who may do what: every address × method × role × own and foreign agent × stranger, against one table.

The table is written by hand and not made from the code's own roles. An address that is missing in it,
or a method that is not listed and yet answers, fails the test.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client

from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent, ApiKey, User
from tests.markup import Page
from tests.safety.routes import Route, routes, sample
from tests.world import new_person, person, signed_in, write_thread

ROLES: Final = ("viewer", "support", "operator", "privacy", "admin")
METHODS: Final = ("get", "post", "put", "patch", "delete")
DONE: Final = {200, 201, 204, 302, 303, 409, 410, 422}
SIGN_IN: Final = "/sign-in/?next="


@dataclass(frozen=True)
class On:
    """Roles that may, on an agent; others are refused with 403, and who does not see the agent with 404."""

    roles: str
    form: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Studio:
    """Roles that may, where they hold for all agents; everybody else is refused with 403."""

    roles: str
    form: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Own:
    """Anybody who is signed in, about themselves; `status` where there is nothing of theirs."""

    status: int = 0


@dataclass(frozen=True)
class Open:
    """Strangers too; what they are answered."""

    status: int


@dataclass(frozen=True)
class Key:
    """Keys with this scope, on an agent or (studio) for all of them; no key is 401."""

    scope: str
    studio: bool = False
    body: str = ""


ALL: Final = "viewer support operator privacy admin"
READ: Final = "support privacy admin"
AGENT: Final = "agents/<agent:agent_id>/"
API: Final = "api/agents/<agent:agent_id>"

TABLE: Final[dict[str, dict[str, Any]]] = {
    "": {"get": Own()},
    "health": {"get": Open(200)},
    "health/live": {"get": Open(200)},
    "health/ready": {"get": Open(200)},
    "icons.svg": {"get": Open(200)},
    # agents
    "agents/": {"get": Own()},
    "agents/new/": {"get": Studio("admin"), "post": Studio("admin")},
    AGENT: {"get": On(ALL)},
    AGENT + "edit/": {"get": On("admin"), "post": On("admin")},
    AGENT + "remove/": {"get": On("admin")},
    AGENT + "remove/now/": {"post": On("admin")},
    AGENT + "connection/": {"get": On("admin"), "post": On("admin")},
    AGENT + "connection/password/": {"get": On("admin"), "post": On("admin")},
    # memory
    AGENT + "memory/": {"get": On(ALL), "post": On("operator admin")},
    AGENT + "memory/restore/": {"post": On("operator admin", form=(("version", "1"), ("base", "1")))},
    AGENT + "threads/": {"get": On(ALL)},
    AGENT + "threads/<any:session_id>/": {"get": On(READ)},
    AGENT + "threads/<any:session_id>/export/": {"get": On("privacy admin")},
    AGENT + "threads/<any:session_id>/runs/<any:run_id>/": {"get": On(READ)},
    AGENT + "users/": {"get": On(ALL)},
    AGENT + "users/<any:user_id>/": {"get": On(ALL)},
    AGENT + "delete-threads/": {"get": On("privacy admin"), "post": On("privacy admin")},
    AGENT + "delete-threads/now/": {"post": On("privacy admin")},
    AGENT + "activity/": {"get": On(ALL)},
    # the studio
    "keys/": {"get": Studio("admin")},
    "keys/new/": {"get": Studio("admin"), "post": Studio("admin")},
    "keys/<slug:prefix>/revoke/": {"get": Studio("admin"), "post": Studio("admin")},
    "people/": {"get": Studio("admin")},
    "people/invite/": {"get": Studio("admin"), "post": Studio("admin")},
    "people/second-factor/": {"post": Studio("admin", form=(("second_factor", "nobody"),))},
    "people/<int:user_id>/": {"get": Studio("admin")},
    "people/<int:user_id>/roles/add/": {"post": Studio("admin")},
    "people/<int:user_id>/roles/remove/": {"post": Studio("admin")},
    "people/<int:user_id>/deactivate/": {"get": Studio("admin"), "post": Studio("admin")},
    "people/<int:user_id>/reactivate/": {"post": Studio("admin")},
    "people/<int:user_id>/sign-out/": {"post": Studio("admin")},
    "people/<int:user_id>/link/": {"post": Studio("admin")},
    "people/<int:user_id>/factors/remove/": {"post": Studio("admin")},
    "audit/": {"get": Studio("admin")},
    "audit/export/": {"get": Studio("admin")},
    # oneself
    "account/": {"get": Own()},
    "account/still-allowed/<slug:mark>/": {"get": Open(401)},
    "account/sessions/": {"get": Own()},
    "account/sessions/end/": {"post": Own()},
    "account/sessions/end-others/": {"post": Own()},
    "account/sign-out-everywhere/": {"post": Own()},
    "account/factors/first/": {"get": Own()},
    "account/password/": {"get": Own(), "post": Own()},
    "account/factors/": {"get": Own()},
    "account/factors/app/add/": {"get": Own(), "post": Own()},
    "account/factors/app/remove/": {"get": Own(404), "post": Own(404)},
    "account/factors/codes/": {"get": Own(404)},
    "account/factors/codes/new/": {"get": Own(), "post": Own()},
    "account/factors/passkeys/": {"get": Own()},
    "account/factors/passkeys/add/": {"get": Own(), "post": Own()},
    "account/factors/passkeys/<int:pk>/rename/": {"get": Own(404), "post": Own(404)},
    "account/factors/passkeys/<int:pk>/remove/": {"get": Own(404), "post": Own(404)},
    # signing in and out
    "sign-in/": {"get": Open(200), "post": Open(200)},
    "sign-in/once/<str:token>/": {"get": Open(302), "post": Open(303)},
    "sign-in/expired/": {"get": Open(410)},
    "sign-in/inactive/": {"get": Open(200)},
    "sign-in/factor/": {"get": Open(302), "post": Open(302)},
    "sign-in/oidc/<slug:provider_id>/": {"get": Open(404)},
    "sign-in/oidc/<slug:provider_id>/callback/": {"get": Open(404)},
    "sign-out/": {"get": Open(302), "post": Open(302)},
    "account/password/forgotten/": {"get": Open(200), "post": Open(200)},
    # the API
    "api": {"get": Open(302)},
    "api/": {"get": Open(302)},
    "api/docs": {"get": Open(200)},
    "api/openapi.json": {"get": Open(200)},
    "api/agents/list": {"get": Key("agents:read", studio=True)},
    "api/metadata/default_llm_extra_headers": {"get": Key("agents:read", studio=True)},
    "api/agents": {"post": Key("admin", studio=True, body='{"name": "New"}')},
    API: {"get": Key("agents:read"), "delete": Key("admin")},
    API + "/db": {"get": Key("connect")},
    API + "/memory": {"get": Key("agents:read"), "patch": Key("settings:write", body='{"num_history_runs": 7}')},
    API + "/users": {"get": Key("agents:read")},
    API + "/threads": {"get": Key("agents:read")},
    API + "/threads/<any:session_id>": {"get": Key("agents:read"), "delete": Key("threads:delete")},
    API + "/threads/<any:session_id>/runs": {"get": Key("threads:read")},
    API + "/threads/<any:session_id>/messages": {"get": Key("threads:read")},
}
KEY_SCOPES: Final = ("agents:read", "settings:write", "threads:read", "threads:delete", "connect", "admin")

ROUTES: Final = {route.route: route for route in routes()}
CELLS: Final = [(route, method) for route, rules in TABLE.items() for method in rules]


def test_every_address_is_in_the_table() -> None:
    assert set(ROUTES) == set(TABLE)


@pytest.fixture
def world(ada: Agent, bruno: Agent) -> dict[str, Any]:
    """A thread in both agents, a key, and somebody to change."""
    for agent in (ada, bruno):
        write_thread(agent, "s-1", layout="both")
    key, _ = keys.create(Actor.system(), name="some", scopes=["agents:read"])
    return {"prefix": key.prefix, "viewer": str(person("viewer").pk)}


def path(route: Route, world: dict[str, Any], agent_id: str = "agt-ada") -> str:
    values = {**sample(agent_id), "prefix": world["prefix"]}
    if route.route.startswith("people/"):
        values["user_id"] = world["viewer"]
    return route.path(**values)


def send(client: Client, method: str, address: str, body: Any = "", **headers: str) -> tuple[int, str]:
    """Send a form or JSON text, undo what it did, and return status and where it leads."""
    client.raise_request_exception = False
    with transaction.atomic():
        content = {"data": body, "content_type": "application/json"} if isinstance(body, str) and body else {}
        if isinstance(body, dict):
            content = {"data": body}
        answer = getattr(client, method)(address, headers=headers, **content)
        if answer.streaming:
            b"".join(answer.streaming_content)
        transaction.set_rollback(True)
    return answer.status_code, answer.headers.get("location", "")


def is_refused(status: int, leads_to: str) -> bool:
    return status == 302 and leads_to.startswith(SIGN_IN)


@pytest.mark.parametrize(("name", "method"), CELLS, ids=lambda value: value or "home")
def test_a_cell(name: str, method: str, world: dict[str, Any], ada: Agent) -> None:
    rule, route = TABLE[name][method], ROUTES[name]
    if isinstance(rule, Key):
        by_key(rule, route, method, world, ada)
        return
    stranger = send(Client(), method, path(route, world))
    if isinstance(rule, Open):
        assert stranger[0] == rule.status
        assert not is_refused(*stranger)
    else:
        assert is_refused(*stranger), stranger
    for role in ROLES:
        for agent in (ada, None):
            by_person(rule, role, agent, route, method, world)


def by_person(rule: Any, role: str, agent: Agent | None, route: Route, method: str, world: dict[str, Any]) -> None:
    """One person: with the role on Ada's agent alone, or on all agents."""
    user = new_person(role, agent, f"{role}-{agent.pk if agent else 'all'}@example.net")
    for agent_id in ("agt-ada", "agt-bruno") if route.is_of_an_agent else ("agt-ada",):
        form = dict(getattr(rule, "form", ()))
        status, leads_to = send(signed_in(user), method, path(route, world, agent_id), form or "")
        who = (role, "one agent" if agent else "all agents", agent_id, status, leads_to)
        match rule:
            case On() if agent is not None and agent_id != agent.pk:
                assert status == 404, who
            case On():
                assert (status in DONE) if role in rule.roles.split() else status == 403, who
            case Studio():
                assert (status in DONE) if agent is None and role in rule.roles.split() else status == 403, who
            case Own():
                assert status == rule.status if rule.status else status in DONE, who
        assert not is_refused(status, leads_to), who


def by_key(rule: Key, route: Route, method: str, world: dict[str, Any], ada: Agent) -> None:
    """Every scope alone, on Ada's agent or all; a stranger; somebody who is signed in and has no key."""
    for client in (Client(), signed_in(User.objects.get(email="admin@example.com"))):
        assert send(client, method, path(route, world), rule.body)[0] == 401
    for scope in KEY_SCOPES:
        for agent in (ada, None):
            _, key = keys.create(Actor.system(), name="k", scopes=[scope], agents=None if agent is None else [agent])
            for agent_id in ("agt-ada", "agt-bruno") if route.is_of_an_agent else ("agt-ada",):
                status, _ = send(Client(), method, path(route, world, agent_id), rule.body, **{"x-api-key": key})
                who = (scope, "one agent" if agent else "all agents", agent_id, status)
                if route.is_of_an_agent and agent is not None and agent_id != agent.pk:
                    assert status == 404, who
                elif scope not in (rule.scope, "admin") or (rule.studio and rule.scope == "admin" and agent):
                    assert status == 403, who
                else:
                    assert status in DONE, who


@pytest.mark.parametrize("name", TABLE, ids=lambda value: value or "home")
def test_methods_that_are_not_in_the_table_are_refused(name: str, world: dict[str, Any], admin: User) -> None:
    _, key = keys.create(Actor.system(), name="k", scopes=["admin"])
    for method in set(METHODS) - set(TABLE[name]):
        status, _ = send(signed_in(admin), method, path(ROUTES[name], world), **{"x-api-key": key})
        assert status == 405 or (status == 404 and name in ("api/", "api")), (method, status)


@pytest.mark.parametrize("name", [name for name in TABLE if "get" in TABLE[name]], ids=lambda value: value or "home")
def test_head_is_answered_as_get_is(name: str, world: dict[str, Any], admin: User) -> None:
    _, key = keys.create(Actor.system(), name="k", scopes=["admin"])
    browsers = [(signed_in(admin), {}), (Client(), {}), (Client(), {"x-api-key": key})]
    for client, headers in browsers:
        get, head = (send(client, method, path(ROUTES[name], world), **headers) for method in ("get", "head"))
        assert head == get
        assert head[0] != 405


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("everywhere", [True, False], ids=["all agents", "one agent"])
def test_no_page_offers_what_its_reader_may_not_do(
    role: str, everywhere: bool, world: dict[str, Any], ada: Agent
) -> None:
    """Every link and every form on every page that a role can open leads to something it may do."""
    client = signed_in(new_person(role, None if everywhere else ada))
    offered = set()
    for name in [name for name, rules in TABLE.items() if "get" in rules and not name.startswith("api")]:
        answer = client.get(here := path(ROUTES[name], world))
        if answer.status_code != 200 or "text/html" not in answer.headers["content-type"]:
            continue
        shown = Page(answer.getvalue().decode())
        offered |= {("get", urljoin(here, link)) for link in shown.links}
        offered |= {(form.method, urljoin(here, form.action)) for form in shown.forms}
    ours = {(method, address) for method, address in offered if urlsplit(address).path.startswith("/")}
    assert len(ours) > 10
    refused = [(method, address) for method, address in sorted(ours) if send(client, method, address)[0] in (403, 404)]
    assert refused == []


def test_keys_cannot_be_used_as_people_are_nor_people_as_keys(world: dict[str, Any]) -> None:
    _, key = keys.create(Actor.system(), name="k", scopes=["admin"])
    status, leads_to = send(Client(), "get", "/agents/agt-ada/memory/", **{"x-api-key": key})
    assert is_refused(status, leads_to)
    assert ApiKey.objects.count() == 2
