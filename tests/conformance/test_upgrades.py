"""Threads that two versions of Agno write one after the other, in our tables and in those of Agno's own making."""

from typing import Any

import pytest

from studio.ids import schema_name
from tests.conformance import environments
from tests.conformance.library import Library, Step, read, talk
from tests.conformance.pages import address, squeezed, walk
from tests.conformance.reports import counted, indexed
from tests.server import ServedAgent, StudioServer

ADOPT = """
import json
from django.core.management import call_command
from studio.agents import memory_settings
from studio.models import Agent
from studio.agents import connection, database_role
from studio.audit.record import Actor
id, schema = json.loads({id!r}), json.loads({schema!r})
agent = Agent(id=id, schema_name=schema, name=id)
agent.save(force_insert=True)
memory_settings.create(Actor.system(), agent)
call_command("migrate_schemas", tenant=True, schema_name=schema, interactive=False, verbosity=0)
database_role.ensure(agent)
print(connection.reveal(Actor.system(), agent))
"""

BEGUN = [f"Said to Agno 2, turn {n}" for n in range(12)]
CONTINUED = [f"Said to Agno 3, turn {n}" for n in range(12)]
TOOL = 'Find it: /look_up {"number": "C-3"}'
TWO, THREE = environments.AGNO_2, environments.AGNO_3


def said(report: dict[str, Any]) -> list[str]:
    """What users said, in the library's order."""
    return [message["content"] for message in report["messages"] if message["role"] == "user"]


def adopt(server: StudioServer, agent_id: str) -> ServedAgent:
    """Make an agent of a schema that Agno made by itself, as its owner has done so far."""
    schema = schema_name(agent_id)
    dsn = server.python(ADOPT, id=agent_id, schema=schema).strip()
    server.manage("thread_index", "mend", "--agent", agent_id)
    return ServedAgent(agent_id, schema, dsn)


def test_agno_3_continues_what_agno_2_began(studio_server: StudioServer, agent: ServedAgent) -> None:
    two, three = (Library(version, agent.dsn, agent.schema) for version in (TWO, THREE))
    two(talk("moved", *BEGUN, TOOL))
    seen = three(talk("moved", *CONTINUED, TOOL), read("moved"))[1]
    assert said(seen) == [*BEGUN, TOOL, *CONTINUED, TOOL]
    assert indexed(studio_server, agent.schema, "moved") == counted(seen)
    pages = walk(studio_server.client(), address(agent.id, "threads", "moved"), order="oldest", raw="1")
    shown = squeezed(*(page.text for page in pages))
    assert len(pages) > 1
    places = [shown.find(squeezed(text)) for text in [*BEGUN, *CONTINUED]]
    assert -1 not in places
    assert places == sorted(places)
    assert all(squeezed(message["content"]) in shown for message in seen["messages"] if message["content"])


def test_a_run_that_agno_2_adds_later_is_counted_beside_those_of_agno_3(
    studio_server: StudioServer, agent: ServedAgent
) -> None:
    """Agno 2 does not see what Agno 3 wrote, and rewrites only its own runs."""
    two, three = (Library(version, agent.dsn, agent.schema) for version in (TWO, THREE))
    two(talk("both", "One"))
    three(talk("both", "Two"))
    assert said(two(talk("both", "Three"), read("both"))[1]) == ["One", "Three"]
    seen = three(read("both"))[0]
    assert sorted(said(seen)) == ["One", "Three", "Two"]
    row = indexed(studio_server, agent.schema, "both")
    assert row is not None
    assert (row["runs"], row["messages"]) == (3, 6)
    shown = squeezed(*(page.text for page in walk(studio_server.client(), address(agent.id, "threads", "both"))))
    assert [word for word in ("One", "Two", "Three") if squeezed(f"You said: {word}") not in shown] == []


@pytest.mark.parametrize("versions", [[TWO], [THREE], [TWO, THREE]], ids=["2.5", "3.1", "upgraded"])
def test_a_schema_that_agno_made_becomes_an_agent(studio_server: StudioServer, versions: list[str]) -> None:
    agent_id = f"grown-{len(versions)}-{versions[0].replace('.', '-')}"
    schema = schema_name(agent_id)
    threads = ["kept", *versions]
    for version in versions:
        owner = Library(version, studio_server.dsn, schema)
        upgrade: list[Step] = [{"do": "migrate"}] if version != versions[0] else []
        turns = [talk("kept", f"Hello {version}", TOOL), talk(version, *BEGUN)]
        *_, kept, own = owner(*upgrade, *turns, *(read(thread) for thread in ("kept", version)), worries=True)

    agent = adopt(studio_server, agent_id)

    library = Library(versions[-1], agent.dsn, schema)
    *reports, listed, _, continued = library(
        *(read(thread) for thread in threads), {"do": "sessions"}, talk("kept", "And on it goes"), read("kept")
    )
    assert listed == sorted(threads)
    assert (reports[0], reports[-1]) == (kept, own)
    for thread, report in zip(threads[1:], reports[1:], strict=True):
        assert (thread, indexed(studio_server, schema, thread)) == (thread, counted(report))
    assert said(continued) == [*said(kept), "And on it goes"]
    assert indexed(studio_server, schema, "kept") == counted(continued)
    client = studio_server.client()
    for thread, report in zip(threads, [continued, *reports[1:]], strict=True):
        shown = squeezed(*(page.text for page in walk(client, address(agent_id, "threads", thread), raw="1")))
        assert [m["content"] for m in report["messages"] if squeezed(m["content"] or "") not in shown] == []
