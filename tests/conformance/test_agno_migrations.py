"""Agno's own migrations, run by the owner of the tables on schemas that are agents of the studio and have threads."""

import json
from typing import Any

import pytest

from studio.ids import schema_name
from tests.conformance import environments
from tests.conformance.library import Library, read, talk
from tests.conformance.pages import address, squeezed, walk
from tests.conformance.reports import counted, indexed
from tests.conformance.test_deletion import delete
from tests.conformance.test_upgrades import BEGUN, TOOL, adopt, said
from tests.server import ServedAgent, StudioServer

TWO, THREE = environments.AGNO_2, environments.AGNO_3
JSON = ("session_data", "agent_data", "team_data", "workflow_data", "metadata", "runs", "summary")
KEPT, GONE = "kept/ü <b>", "gone"
WAYS = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


def owner(server: StudioServer, agent: ServedAgent, version: str, asynchronous: bool = False) -> Library:
    return Library(version, server.dsn, agent.schema, asynchronous)


def made_by_agno_2(server: StudioServer, name: str) -> str:
    """Let Agno 2.5 make its tables and write two threads, one with a summary; return the id of a future agent."""
    library = Library(TWO, server.dsn, schema_name(name))
    library(talk(KEPT, *BEGUN, TOOL, enable_session_summaries=True), talk(GONE, "Bye", TOOL), worries=True)
    return name


def column_types(server: StudioServer, schema: str) -> dict[str, str]:
    query = """
        select column_name, data_type from information_schema.columns
        where table_schema = current_schema() and table_name = 'agno_sessions'"""
    return dict(server.sql(query, schema=schema))


def check(server: StudioServer, agent: ServedAgent, library: Library, *threads: str) -> dict[str, Any]:
    """Compare all that the studio shows of these threads with what a library reads; return its last report."""
    reports = library(*(read(thread) for thread in threads))
    client = server.client()
    listed = {link for page in walk(client, address(agent.id, "threads")) for link in page.links}
    for thread, report in zip(threads, reports, strict=True):
        assert indexed(server, agent.schema, thread) == counted(report)
        here = address(agent.id, "threads", thread)
        assert here in listed
        shown = squeezed(*(page.text for page in walk(client, here, raw="1", order="oldest")))
        texts = [message["content"] for message in report["messages"] if message["content"]]
        assert [text for text in [*texts, report["summary"] or ""] if squeezed(text) not in shown] == []
        file = json.loads(client.get(f"{here}export/").text)
        assert [run["run_id"] for run in file["runs"]] == [run["run_id"] for run in report["runs"]]
        assert ((file["session"]["summary"] or {}).get("summary")) == report["summary"]
    assert server.sql("select session_id, error from memory_backlog", schema=agent.schema) == []
    assert server.sql("select is_called from memory_missed", schema=agent.schema) == [(False,)]
    assert "the index is exact" in server.manage("thread_index", "check", "--agent", agent.id)
    return dict(reports[-1])


@WAYS
def test_agno_3_moves_the_runs_and_drops_their_column(studio_server: StudioServer, asynchronous: bool) -> None:
    agent = adopt(studio_server, made_by_agno_2(studio_server, f"cleaned-{asynchronous:d}"))
    before = Library(TWO, agent.dsn, agent.schema).one("read", session_id=KEPT)
    three = owner(studio_server, agent, THREE, asynchronous)
    library = Library(THREE, agent.dsn, agent.schema, asynchronous)

    three({"do": "migrate"}, worries=True)
    assert check(studio_server, agent, library, GONE, KEPT)["messages"] == before["messages"]
    assert three.one("clean_up") is True
    assert "runs" not in column_types(studio_server, agent.schema)
    studio_server.manage("thread_index", "mend", "--agent", agent.id)
    assert check(studio_server, agent, library, GONE, KEPT)["messages"] == before["messages"]

    library(talk(KEPT, "And on it goes", TOOL), talk("new", "Hello"))
    assert said(check(studio_server, agent, library, GONE, "new", KEPT)) == [*said(before), "And on it goes", TOOL]
    studio_server.manage("thread_index", "rebuild", "--agent", agent.id)
    check(studio_server, agent, library, GONE, "new", KEPT)

    delete(studio_server, agent, GONE)
    assert library(read(GONE), {"do": "sessions"}) == [None, sorted([KEPT, "new"])]
    check(studio_server, agent, library, "new", KEPT)


@WAYS
def test_json_columns_of_before_2_3_become_jsonb(studio_server: StudioServer, asynchronous: bool) -> None:
    name = made_by_agno_2(studio_server, f"json-{asynchronous:d}")
    for column in JSON:
        studio_server.sql(f"alter table agno_sessions alter {column} type json", schema=schema_name(name))
    studio_server.sql("delete from agno_schema_versions", schema=schema_name(name))
    agent = adopt(studio_server, name)
    library = Library(TWO, agent.dsn, agent.schema, asynchronous)

    library(talk(KEPT, "As json", TOOL))
    check(studio_server, agent, library, GONE, KEPT)
    owner(studio_server, agent, TWO, asynchronous)({"do": "migrate", "to": "2.3.0"}, worries=True)
    types = column_types(studio_server, agent.schema)
    assert {types[column] for column in JSON} == {"jsonb"}
    library(talk(KEPT, "As jsonb", TOOL))
    assert said(check(studio_server, agent, library, GONE, KEPT))[-4:] == ["As json", TOOL, "As jsonb", TOOL]


@WAYS
def test_the_key_of_before_2_5_is_replaced(studio_server: StudioServer, asynchronous: bool) -> None:
    name = made_by_agno_2(studio_server, f"unique-{asynchronous:d}")
    schema = schema_name(name)
    studio_server.sql("alter table agno_sessions drop constraint agno_sessions_pkey", schema=schema)
    studio_server.sql(
        "alter table agno_sessions add constraint agno_sessions_uq_session_id unique (session_id)", schema=schema
    )
    studio_server.sql("delete from agno_schema_versions", schema=schema)
    agent = adopt(studio_server, name)
    owner(studio_server, agent, TWO, asynchronous)({"do": "migrate", "to": "2.5.6"}, worries=True)
    keys = "select conname from pg_constraint where conrelid = 'agno_sessions'::regclass and contype in ('p', 'u')"
    assert studio_server.sql(keys, schema=schema) == [("agno_sessions_pkey",)]
    library = Library(TWO, agent.dsn, agent.schema, asynchronous)
    library(talk(KEPT, "And on it goes"))
    check(studio_server, agent, library, GONE, KEPT)


@WAYS
def test_back_to_agno_2(studio_server: StudioServer, asynchronous: bool) -> None:
    """Agno drops the table of runs; the studio's migrations are run anew, as docs/architecture.md says."""
    agent = adopt(studio_server, made_by_agno_2(studio_server, f"back-{asynchronous:d}"))
    three = owner(studio_server, agent, THREE, asynchronous)
    three({"do": "migrate"}, {"do": "clean_up"}, talk(KEPT, "Said to Agno 3"), worries=True)
    three({"do": "migrate", "to": "2.5.6", "down": True}, worries=True)
    assert studio_server.sql("select to_regclass('agno_runs')::text", schema=agent.schema) == [(None,)]

    studio_server.manage("migrate_schemas", "--schema", agent.schema, "memory", "zero", "--fake")
    studio_server.manage("migrate_agents")
    studio_server.manage("grant_agents")
    studio_server.manage("thread_index", "mend", "--agent", agent.id)
    library = Library(TWO, agent.dsn, agent.schema, asynchronous)
    library(talk(KEPT, "Said to Agno 2"))
    report = check(studio_server, agent, library, GONE, KEPT)
    assert said(report) == [*BEGUN, TOOL, "Said to Agno 3", "Said to Agno 2"]
