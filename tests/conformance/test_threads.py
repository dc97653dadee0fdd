"""Threads that the real libraries write: the index says of them what the library says."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.conformance import environments
from tests.conformance.library import Library, Step, read, talk
from tests.conformance.pages import address, squeezed, walk
from tests.conformance.reports import counted, indexed
from tests.server import ServedAgent, StudioServer

LOOK_UP = 'Where is it? /look_up {{"number": "A-{0}"}}'
TWICE = 'Both /look_up {"number": "B-1"} and /look_up {"number": "B-2"}, please'
DELEGATE = 'Ask the clerk /delegate_task_to_member {"member_id": "clerk", "task": "count to seven"}'
TURNS = [LOOK_UP.format(n) if n % 3 == 0 else f"Turn {n}: *why* is <b>{n}</b> & not {n + 1}?" for n in range(12)]
ODD = "thread/ü ?#%&'\"<i>\n🧵 עברית"
ANN, BOB, EVE = "ann@example.com", "bob/<b>", '"e\'v" <e> & ü/🧵'


@dataclass(frozen=True)
class Written:
    """What a library wrote and then read back, by session id."""

    library: Library
    answers: list[Any] = field(default_factory=list)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def id(self, name: str) -> str:
        return f"{self.library} {name}"

    def report(self, name: str) -> dict[str, Any]:
        return self.reports[self.id(name)]


def conversations(written: Written) -> list[Step]:
    """One thread of each kind, and one that the library deletes again."""
    name = written.id
    return [
        talk(name("long"), *TURNS, num_history_runs=3),
        {"do": "upsert", "session_id": name("long")},
        talk(name("summed"), "Remember the milk", TWICE, enable_session_summaries=True),
        talk(name("named"), "Call me Ishmael"),
        {"do": "rename", "session_id": name("named"), "name": "Moby <i>Dick</i>"},
        talk(name(ODD), "An odd id", user_id=EVE),
        talk(name("nobody"), "Nobody asks", user_id=None),
        *shared(written),
        {"do": "team", "session_id": name("team"), "texts": [DELEGATE], "user_id": ANN},
        {"do": "workflow", "session_id": name("flow"), "texts": ["Flow", "on"], "user_id": ANN},
        talk(name("gone"), "Bye", user_id=f"{written.library} leaver"),
        {"do": "delete", "session_id": name("gone")},
    ]


def shared(written: Written) -> list[Step]:
    """Several users in one thread. Agno 2 drops the runs of a second one, unless the thread has no owner."""
    thread = written.id("shared")
    if written.library.environment == environments.AGNO_2:
        turns = talk(thread, "Me first", "Then me", "And me again", user_id=None)
        return [turns, {"do": "share", "session_id": thread, "users": [ANN, BOB]}]
    return [talk(thread, text, user_id=user) for text, user in (("Me first", ANN), ("Then me", BOB), ("Again", ANN))]


@pytest.fixture(scope="module")
def written(library: Library) -> Written:
    """The threads of one library, each written turn by turn and read back by the process that wrote it."""
    written = Written(library)
    steps = conversations(written)
    types = {"team": "team", "workflow": "workflow"}
    kinds = {step["session_id"]: types.get(step["do"], "agent") for step in steps if step["do"] in (*types, "talk")}
    answers = library(*steps, *(read(session_id, kind) for session_id, kind in kinds.items()))
    written.answers.extend(answers[: len(steps)])
    written.reports.update(zip(kinds, answers[len(steps) :], strict=True))
    return written


def test_agno_finds_its_tables_and_makes_none(
    studio_server: StudioServer, agent: ServedAgent, written: Written
) -> None:
    """Nor does it say so: the library fixture fails on any such line in its log."""
    tables = studio_server.sql("select tablename from pg_tables where schemaname = %s", agent.schema)
    assert {name for (name,) in tables if name.startswith("agno")} == {
        "agno_sessions",
        "agno_runs",
        "agno_schema_versions",
    }
    assert studio_server.sql("select * from agno_schema_versions", schema=agent.schema) == []


def test_it_wrote_what_the_tests_are_about(written: Written) -> None:
    assert len(written.report("long")["runs"]) == 12
    assert sum(run["tool_calls"] for run in written.report("long")["runs"]) == 4
    assert {run["user_id"] for run in written.report("shared")["runs"]} == {ANN, BOB}
    assert {bool(run["parent_run_id"]) for run in written.report("team")["runs"]} == {True, False}
    assert written.report("summed")["summary"]
    assert written.report("named")["name"] == "Moby <i>Dick</i>"
    assert written.report(ODD)["user_id"] == EVE
    assert written.report("nobody")["user_id"] is None
    assert written.report("gone") is None


def test_the_index_counts_what_the_library_reports(
    studio_server: StudioServer, agent: ServedAgent, written: Written
) -> None:
    for session_id, report in written.reports.items():
        expected = counted(report) if report else None
        assert (session_id, indexed(studio_server, agent.schema, session_id)) == (session_id, expected)
    assert studio_server.sql("select session_id, error from memory_backlog", schema=agent.schema) == []


def test_a_thread_is_titled_by_what_was_said_first(
    studio_server: StudioServer, agent: ServedAgent, written: Written
) -> None:
    said = {"long": TURNS[0], "named": "Call me Ishmael", "team": DELEGATE, "flow": "Flow"}
    for name, text in said.items():
        studio_server.fold(agent.schema)
        query = "select first_text from memory_thread where session_id = %s"
        assert (name, studio_server.sql(query, written.id(name), schema=agent.schema)) == (name, [(text,)])


def test_a_thread_that_the_library_deletes_leaves_nothing(
    studio_server: StudioServer, agent: ServedAgent, written: Written
) -> None:
    studio_server.fold(agent.schema)
    for table in ("agno_sessions", "agno_runs", "memory_thread", "memory_participant", "memory_run"):
        left = studio_server.sql(
            f"select 1 from {table} where session_id = %s", written.id("gone"), schema=agent.schema
        )
        assert (table, left) == (table, [])
    leaver = f"{written.library} leaver"
    assert studio_server.sql("select 1 from memory_user where user_id = %s", leaver, schema=agent.schema) == []


@pytest.fixture(scope="module")
def admin(studio_server: StudioServer) -> httpx.Client:
    return studio_server.client()


def texts_of(report: dict[str, Any]) -> list[str]:
    """All that a reader of a thread has to find; a workflow keeps its steps' messages elsewhere."""
    messages = [message for run in report["runs"] for message in run["messages"]]
    return [text for text in (*(m["content"] for m in messages), *(run["content"] for run in report["runs"])) if text]


def test_a_transcript_shows_every_message(admin: httpx.Client, agent: ServedAgent, written: Written) -> None:
    for session_id, report in written.reports.items():
        if report is None:
            continue
        pages = walk(admin, address(agent.id, "threads", session_id), raw="1", order="oldest")
        shown = squeezed(*(page.text for page in pages))
        texts = texts_of(report)
        assert texts
        assert [text for text in texts if squeezed(text) not in shown] == []


def test_a_transcript_renders_what_the_assistant_said_and_nothing_else(
    admin: httpx.Client, agent: ServedAgent, written: Written
) -> None:
    pages = walk(admin, address(agent.id, "threads", written.id("long")))
    shown = squeezed(*(page.text for page in pages))
    assert squeezed("You said: Turn 1: why is <b>1</b> & not 2?") in shown
    assert squeezed(TURNS[1]) in shown


def test_the_lists_lead_to_every_thread(admin: httpx.Client, agent: ServedAgent, written: Written) -> None:
    links = {link for page in walk(admin, address(agent.id, "threads")) for link in page.links}
    for session_id, report in written.reports.items():
        assert (session_id, address(agent.id, "threads", session_id) in links) == (session_id, report is not None)


@pytest.mark.parametrize("user", [ANN, BOB, EVE])
def test_a_users_page_lists_what_they_own_and_what_they_took_part_in(
    admin: httpx.Client, agent: ServedAgent, written: Written, user: str
) -> None:
    reports = {session_id: report for session_id, report in written.reports.items() if report}
    owned = {session_id for session_id, report in reports.items() if report["user_id"] == user}
    talked = {
        session_id for session_id, report in reports.items() if user in (run["user_id"] for run in report["runs"])
    }
    assert owned | talked
    for part, theirs in (("owned", owned), ("joined", talked - owned)):
        links = {link for page in walk(admin, address(agent.id, "users", user), part=part) for link in page.links}
        assert {thread for thread in reports if address(agent.id, "threads", thread) in links} == theirs
