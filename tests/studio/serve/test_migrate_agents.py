"""manage.py migrate_agents, and the same step of a start."""

import pytest

from tests.server import StudioServer

BREAK = "drop table memory_thread cascade; create view memory_thread as select 1 as session_id"


def test_one_agent_that_fails_is_named_and_the_others_are_migrated(studio_server: StudioServer) -> None:
    agents = [studio_server.create_agent(f"behind-{letter}") for letter in "abc"]
    for agent in agents:
        studio_server.sql("delete from django_migrations where app = 'memory'", schema=agent.schema)
    for statement in BREAK.split("; "):
        studio_server.sql(statement, schema=agents[1].schema)

    with pytest.raises(AssertionError) as stopped:
        studio_server.manage("migrate_agents")
    assert "Agent behind-b: " in str(stopped.value)
    assert "behind-a" not in str(stopped.value)
    assert "2 schemas brought up to date" in str(stopped.value)
    assert [_applied(studio_server, agent.schema) for agent in agents] == [True, False, True]

    studio_server.sql("drop view memory_thread", schema=agents[1].schema)
    assert "1 schema brought up to date" in studio_server.manage("migrate_agents")
    assert _applied(studio_server, agents[1].schema)
    assert "Nothing to do" in studio_server.manage("migrate_agents")


def _applied(server: StudioServer, schema: str) -> bool:
    return bool(server.sql("select 1 from django_migrations where app = 'memory'", schema=schema))
