"""Ids that are somebody else's: under another agent's address they are as unknown as any made-up one."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from studio.audit.record import Actor
from studio.ids import encode
from studio.keys import service as keys
from studio.models import Agent
from tests.safety.routes import Route, routes, sample
from tests.world import run, write_thread

HIS = {"session_id": "his-thread", "run_id": "his-run", "user_id": "his-user", "version": "2"}
NOBODYS = {"session_id": "no-thread", "run_id": "no-run", "user_id": "no-user", "version": "3"}
CANARY = "canary of Bruno"
NAMED = [route for route in routes() if route.is_of_an_agent and re.search(r":(session|run|user)_id>", route.route)]


@pytest.fixture
def _world(ada: Agent, bruno: Agent) -> None:
    """Ada's agent has a thread of its own; Bruno's has the one that is asked for."""
    write_thread(ada, "her-thread", [run("her-run")], user_id="her-user", layout="both")
    theirs = [run("his-run", CANARY, CANARY)]
    write_thread(bruno, "his-thread", theirs, user_id="his-user", layout="both", session_data={"session_name": CANARY})


def threads_of(agent: Agent) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {agent.schema_name}.agno_sessions")
        return int(cursor.fetchone()[0])


@pytest.fixture
def ask(page: Client, _world: None, settings: Any) -> Callable[..., tuple[int, str]]:
    """Ask as somebody who may do all on both agents: a person for pages, a key for the API."""
    _, key = keys.create(Actor.system(), name="all", scopes=["admin"])
    # so that all pages name the same request
    settings.TRUSTED_PROXIES = 1

    def ask(method: str, path: str, form: Any = None) -> tuple[int, str]:
        headers = {"x-api-key": key, "x-request-id": "r"} if path.startswith("/api/") else {"x-request-id": "r"}
        with transaction.atomic():
            answer = getattr(page, method)(path, *([form] if form else []), headers=headers)
            return answer.status_code, answer.getvalue().decode()

    return ask


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("route", NAMED, ids=lambda route: route.route)
def test_his_ids_at_her_address_are_unknown_ones(
    ask: Callable[..., tuple[int, str]], bruno: Agent, route: Route, method: str
) -> None:
    found = {}
    for whose, ids in (("his", HIS), ("nobody's", NOBODYS)):
        status, text = ask(method, route.path(**{**sample(), **ids}))
        assert status in (404, 405)
        assert CANARY not in text
        # a page may say the id that was asked for and its second, and its forms have tokens
        found[whose] = status, re.sub(r"(his|no)-(thread|run|user)|\b\w{64}\b|data-made-at=\S+", "", text)
    assert found["his"] == found["nobody's"]
    assert threads_of(bruno) == 1


def test_his_run_is_not_in_her_thread(ask: Callable[..., tuple[int, str]]) -> None:
    assert ask("get", "/agents/agt-ada/threads/her-thread/runs/her-run/")[0] == 200
    assert ask("get", "/agents/agt-ada/threads/her-thread/runs/his-run/")[0] == 404
    assert ask("get", "/agents/agt-ada/threads/her-thread/runs/his-run/?at=0")[0] in (200, 404)
    assert CANARY not in ask("get", "/agents/agt-ada/threads/her-thread/runs/his-run/?at=0")[1]


@pytest.mark.parametrize(
    "form",
    [
        {"id": ["his-thread"], "expect": "1", "confirm": "1"},
        {"id": ["her-thread", "his-thread"], "expect": "2", "confirm": "2"},
        {"all": "1", "user": "his-user", "expect": "1", "confirm": "1"},
        {"id": [encode("../agt-bruno/his-thread")], "expect": "1", "confirm": "1"},
    ],
)
def test_deleting_many_chooses_again_among_hers(
    ask: Callable[..., tuple[int, str]], ada: Agent, bruno: Agent, form: dict[str, Any]
) -> None:
    for path in ("/agents/agt-ada/delete-threads/", "/agents/agt-ada/delete-threads/now/"):
        status, text = ask("post", path, form)
        assert status < 500
        assert CANARY not in text
    assert threads_of(bruno) == 1


def test_filters_cursors_and_versions_of_his_find_nothing_of_hers_to_show(
    ask: Callable[..., tuple[int, str]], bruno: Agent
) -> None:
    for number in range(60):
        write_thread(bruno, f"his-{number}", [run(f"his-{number}", CANARY)], user_id="his-user")
    status, text = ask("get", "/api/agents/agt-bruno/threads?limit=20")
    cursor = re.search(r'"next": ?"([^"]+)"', text)
    assert status == 200
    assert cursor
    for path in (
        f"/api/agents/agt-ada/threads?limit=20&cursor={cursor[1]}",
        "/api/agents/agt-ada/threads?user_id=his-user&include=runs",
        f"/agents/agt-ada/threads/?cursor={cursor[1]}",
        "/agents/agt-ada/threads/?user=his-user&q=canary",
        "/agents/agt-ada/activity/?event=1",
    ):
        status, text = ask("get", path)
        assert status in (200, 400, 422), path
        assert CANARY not in text, path
        assert "his-thread" not in text, path
    assert ask("post", "/agents/agt-ada/memory/restore/", {"version": "2", "base": "1"})[0] in (404, 422)
