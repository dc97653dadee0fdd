"""The connections of all agents together are compared with those of the server when an agent is made."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from memory.demo import load
from studio.agents import connection_limits, database_role, provision, role_sql
from studio.models import Agent
from tests.calls import Api
from tests.reading import text
from tests.world import SYSTEM, sql

FORM = {"name": "New", "agent_id": "agt-new", "framework": "agno", "status": "ACTIVE"}


@pytest.fixture
def unreserved(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that keeps no connection for the studio, as one of one's own may be."""
    monkeypatch.setattr(connection_limits, "OWN", 60)


def take_all(agent: Agent, settings: Any, limit: int) -> None:
    settings.AGENT_CONNECTION_LIMIT = limit
    database_role.ensure(agent)


def test_a_server_that_keeps_some_for_the_studio_is_never_crowded(ada: Agent, settings: Any) -> None:
    take_all(ada, settings, 1000)
    assert connection_limits.crowded() == ""


@pytest.mark.usefixtures("unreserved")
class TestAServerThatKeepsNone:
    def test_what_adds_up_is_no_matter(self, ada: Agent, bruno: Agent, settings: Any) -> None:
        for agent in (ada, bruno):
            take_all(agent, settings, 60)
        assert connection_limits.crowded() == ""

    @pytest.mark.parametrize("limit", [80, -1])
    def test_what_does_not_is_said(self, ada: Agent, bruno: Agent, settings: Any, limit: int) -> None:
        for agent in (ada, bruno):
            take_all(agent, settings, limit)
        (most,) = sql("select current_setting('max_connections')::int - 3")[0]
        assert f"the database has {most}" in connection_limits.crowded()

    def test_a_role_that_may_not_log_in_takes_none(self, ada: Agent, settings: Any) -> None:
        take_all(ada, settings, 500)
        role_sql.run(role_sql.CLOSE, database_role.find(ada).name)
        assert connection_limits.crowded() == ""

    def test_who_makes_an_agent_is_told(self, page: Client, settings: Any) -> None:
        settings.AGENT_CONNECTION_LIMIT = 500
        answer = page.post("/agents/new/", FORM, follow=True)
        assert "Created New." in text(answer)
        assert "All agents together may open" in text(answer)

    def test_who_moves_an_agent_to_agno_is_told(self, page: Client, settings: Any) -> None:
        provision.create_agent(SYSTEM, agent_id="agt-chain", name="Chain", framework="langchain")
        settings.AGENT_CONNECTION_LIMIT = 500
        form = {"name": "Chain", "framework": "agno", "status": "ACTIVE"}
        assert "All agents together may open" in text(page.post("/agents/agt-chain/edit/", form, follow=True))
        form["name"] = "Renamed"
        assert "All agents together" not in text(page.post("/agents/agt-chain/edit/", form, follow=True))

    def test_a_key_that_makes_one_is_told(self, api: Api, settings: Any) -> None:
        assert "warnings" not in api("POST", "agents", {"name": "Few"}).body
        settings.AGENT_CONNECTION_LIMIT = 500
        (said,) = api("POST", "agents", {"name": "Many"}).body["warnings"]
        assert "All agents together may open" in said
        assert "manage.py check says what to set" in said

    def test_whoever_adds_the_demo_is_told(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.AGENT_CONNECTION_LIMIT = 500
        monkeypatch.setattr(load, "missing", lambda: [{"id": "agt-demo", "fields": {"name": "Demo"}}])
        monkeypatch.setattr(load, "add", lambda one: provision.create_agent(SYSTEM, agent_id=one["id"], name="Demo"))
        said = StringIO()
        call_command("demo", stdout=StringIO(), stderr=said)
        assert "All agents together may open" in said.getvalue()
