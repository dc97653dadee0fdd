import pytest

from tests.conformance import environments
from tests.conformance.library import Library
from tests.server import ServedAgent, StudioServer

LIBRARIES = [(version, way) for version in (environments.AGNO_2, environments.AGNO_3) for way in ("async", "sync")]


@pytest.fixture(scope="module")
def agent(studio_server: StudioServer, request: pytest.FixtureRequest) -> ServedAgent:
    """An agent of its own for each test module."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    return studio_server.create_agent(f"real-{name}", name=f"Real {name}")


@pytest.fixture(scope="module", params=LIBRARIES, ids="-".join)
def library(agent: ServedAgent, request: pytest.FixtureRequest) -> Library:
    """Each version of the real Agno, with both its clients, through the DSN that the studio hands out."""
    version, way = request.param
    return Library(version, agent.dsn, agent.schema, asynchronous=way == "async")
