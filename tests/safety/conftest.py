from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.safety.roles import Studio, insert_thread
from tests.server import ServedAgent, StudioServer, new_database, serving


@pytest.fixture(scope="module")
def studio(studio_server: StudioServer) -> Iterator[Studio]:
    key = studio_server.manage("api_key", "create", "--name", "roles", "--scope", "admin").splitlines()[-1]
    with httpx.Client(base_url=f"{studio_server.url}/api", headers={"x-api-key": key}, timeout=60) as api:
        yield Studio(studio_server, studio_server.client(), api)


def agent_id(name: str, request: pytest.FixtureRequest) -> str:
    """Modules share a studio, and no agents."""
    return f"{request.module.__name__.rpartition('_')[2]}-{name}"


@pytest.fixture(scope="module")
def agent(studio: Studio, request: pytest.FixtureRequest) -> ServedAgent:
    return studio.create(agent_id("one", request))


@pytest.fixture(scope="module")
def other(studio: Studio, request: pytest.FixtureRequest) -> ServedAgent:
    """Another agent, with a thread."""
    other = studio.create(agent_id("two", request))
    with psycopg.connect(other.dsn, autocommit=True) as connection:
        insert_thread(connection, "secret")
    return other


@pytest.fixture
def session(agent: ServedAgent) -> Iterator[psycopg.Connection]:
    """What an agent's code can open."""
    with psycopg.connect(agent.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def racing_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """A studio that takes any number of requests."""
    with (
        new_database() as dsn,
        serving(dsn, tmp_path_factory.mktemp("race"), API_REQUESTS_PER_MINUTE="100000") as server,
    ):
        yield server


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio for people's acts against agents' sessions."""
    with (
        new_database() as dsn,
        serving(dsn, tmp_path_factory.mktemp("attacked"), API_REQUESTS_PER_MINUTE="100000", WEB_THREADS="4") as server,
    ):
        scopes = [word for scope in ("admin", "threads:delete", "threads:read") for word in ("--scope", scope)]
        key = server.manage("api_key", "create", "--name", "acts", *scopes).splitlines()[-1]
        with httpx.Client(base_url=f"{server.url}/api", headers={"x-api-key": key}, timeout=60) as api:
            yield Studio(server, server.client(), api)
