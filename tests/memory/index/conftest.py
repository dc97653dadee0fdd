from collections.abc import Iterator
from typing import Any

import pytest
from django_tenants.utils import schema_context

from studio.agents import provision
from studio.models import Agent
from tests.memory.index.beside import Other, other
from tests.memory.index.lists import Write
from tests.world import SYSTEM, write_thread


@pytest.fixture
def shared(transactional_db: None) -> Iterator[Agent]:
    """An agent that is really there for other sessions, and what the test writes, too."""
    agent = provision.create_agent(SYSTEM, agent_id="agt-shared", name="Shared")
    with schema_context(agent.schema_name):
        yield agent
    provision.remove_agent(SYSTEM, agent)


@pytest.fixture
def writer(shared: Agent) -> Iterator[Other]:
    """The session of an agent."""
    with other(shared.schema_name) as session:
        yield session


@pytest.fixture
def write(ada: Agent, here: None, layout: str) -> Write:
    def write(session_id: str, runs: list[Any] | None = None, **more: Any) -> None:
        write_thread(ada, session_id, runs, layout=layout, **more)

    return write


@pytest.fixture
def write_one(ada: Agent, here: None) -> Write:
    """Write threads where the layout cannot matter."""

    def write(session_id: str, runs: list[Any] | None = None, **more: Any) -> None:
        write_thread(ada, session_id, runs, **more)

    return write
