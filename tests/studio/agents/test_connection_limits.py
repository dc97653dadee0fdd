"""The connections of all agents together are compared with those of the server when an agent is made."""

from typing import Any

import pytest
from django.test import Client

from studio.agents import connection_limits, database_role, role_sql
from studio.models import Agent
from tests.reading import text
from tests.world import sql

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
