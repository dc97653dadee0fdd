"""An agent whose session storage is off, or that is of another framework, may not write, whatever session it holds."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.server import ServedAgent, StudioServer

INSERT = "insert into agno_sessions (session_id, session_type, created_at, updated_at) values (%s, 'agent', 1, 1)"
WRITES = {
    "agno_sessions": INSERT,
    "agno_runs": (
        "insert into agno_runs (run_id, session_id, run_type, run_index, status, created_at, updated_at, run_data)"
        " values (%s, 'first', 'agent', 0, 'COMPLETED', 1, 1, '{}')"
    ),
    "an upsert": INSERT + " on conflict (session_id) do update set updated_at = 2",
    "an update": "update agno_sessions set user_id = %s",
    "a copy": "insert into agno_sessions select * from agno_sessions where session_id = %s",
    "a merge": (
        "merge into agno_sessions s using (values (%s)) as v (id) on s.session_id = v.id"
        " when not matched then insert (session_id, session_type, created_at) values (v.id, 'agent', 1)"
    ),
}
SAVE = """
from studio.agents import memory_settings
from studio.audit.record import Actor
from studio.models import Agent
import json
agent = Agent.objects.get(pk=json.loads({agent!r}))
memory_settings.save(Actor.system(), agent, dict(session_storage=json.loads({on!r})), agent.memory.version)
"""
EDIT = """
from studio.agents import provision
from studio.audit.record import Actor
from studio.models import Agent
import json
provision.edit_agent(Actor.system(), Agent.objects.get(pk=json.loads({agent!r})), framework=json.loads({framework!r}))
"""
HEAL = "from studio.agents import writing; print(writing.heal())"


@pytest.fixture(scope="module")
def agent(studio_server: StudioServer) -> ServedAgent:
    return studio_server.create_agent("not-storing")


@pytest.fixture
def session(agent: ServedAgent, studio_server: StudioServer) -> Iterator[psycopg.Connection]:
    """A session that was opened, and used, while the agent still stored; its statements are prepared."""
    with psycopg.connect(agent.dsn, autocommit=True) as session:
        session.prepare_threshold = 0
        session.execute(INSERT + " on conflict do nothing", ["first"])
        for name, statement in WRITES.items():
            if name != "a copy":
                session.execute(statement, [f"before {name}"])
        yield session
        studio_server.python(SAVE, agent=agent.id, on=True)
        studio_server.sql("delete from agno_sessions", schema=agent.schema)
        # else what the next test writes under the same id is late
        studio_server.sql("delete from memory_tombstone", schema=agent.schema)


def refused(session: psycopg.Connection) -> None:
    for name, statement in WRITES.items():
        with pytest.raises(InsufficientPrivilege):
            session.execute(statement, [f"after {name}"])


def test_off_ends_its_writing_and_on_allows_it_again(
    studio_server: StudioServer, agent: ServedAgent, session: psycopg.Connection
) -> None:
    studio_server.python(SAVE, agent=agent.id, on=False)
    refused(session)
    with psycopg.connect(agent.dsn, autocommit=True) as another:
        refused(another)
        assert another.execute("select count(*) from agno_sessions").fetchone() != (0,)
        assert another.execute("delete from agno_sessions where session_id = 'first' returning 1").fetchone() == (1,)
    studio_server.python(SAVE, agent=agent.id, on=True)
    session.execute(INSERT, ["again"])


def test_a_command_that_grants_rights_anew_keeps_it_so(
    studio_server: StudioServer, agent: ServedAgent, session: psycopg.Connection
) -> None:
    studio_server.python(SAVE, agent=agent.id, on=False)
    studio_server.manage("grant_agents")
    refused(session)


def test_what_an_earlier_release_left_is_mended(
    studio_server: StudioServer, agent: ServedAgent, session: psycopg.Connection
) -> None:
    studio_server.python(SAVE, agent=agent.id, on=False)
    studio_server.sql(f"grant insert, update on all tables in schema {agent.schema} to {agent.schema}")
    assert studio_server.python(HEAL).strip() == str([agent.id])
    refused(session)
    assert studio_server.python(HEAL).strip() == "[]"


def test_an_agent_of_another_framework_may_neither_write_nor_come_in(studio_server: StudioServer) -> None:
    agent = studio_server.create_agent("moves-on")
    with psycopg.connect(agent.dsn, autocommit=True) as session:
        session.execute(INSERT, ["first"])
        studio_server.python(EDIT, agent=agent.id, framework="langchain")
        with pytest.raises(psycopg.OperationalError):
            session.execute(INSERT, ["second"])
    assert studio_server.sql(
        "select has_table_privilege(%s, %s, 'insert')", agent.schema, f"{agent.schema}.agno_sessions"
    ) == [(False,)]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(agent.dsn)
    studio_server.python(EDIT, agent=agent.id, framework="agno")
    with psycopg.connect(agent.dsn, autocommit=True) as session:
        session.execute(INSERT, ["third"])
