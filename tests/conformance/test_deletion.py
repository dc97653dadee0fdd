"""Threads of the real libraries that somebody deletes in the studio."""

from dataclasses import dataclass
from typing import Any

import pytest

from studio import ids
from tests.conformance import environments
from tests.conformance.library import Library, read, talk
from tests.conformance.reports import counted, indexed
from tests.markup import Page
from tests.server import ServedAgent, StudioServer

USER = "ann@example.com"
TOOL = 'Look /look_up {"number": "1"}'
ONE, FLYING, KEPT, LATER = "one/ü <b>", "in flight", "kept", "in flight"


@dataclass(frozen=True)
class Deleted:
    """What the pages said and the library answered, before and after."""

    library: Library
    page: str
    pages: str
    before: list[dict[str, Any]]
    answered: bool
    after: list[Any]
    listed: list[str]
    later: dict[str, Any]


def delete(server: StudioServer, agent: ServedAgent, *session_ids: str) -> str:
    """Delete threads as a person does who has no JavaScript, and return what the question said."""
    client = server.client()
    where = {"id": [ids.encode(session_id) for session_id in session_ids]}
    question = client.get(f"/agents/{agent.id}/delete-threads/", params=where)
    form = Page(question.text).form("/delete-threads/now/")
    values = {"confirm": str(len(session_ids))} if len(session_ids) > 1 else {}
    answer = form.send(client, question, **values)
    assert "Deleted" in Page(answer.text).text
    return " ".join(Page(question.text).text.split())


@pytest.fixture(
    scope="module", params=[(environments.AGNO_2, True), (environments.AGNO_3, False)], ids=["agno-2.5", "agno-3.1"]
)
def deleted(studio_server: StudioServer, agent: ServedAgent, request: pytest.FixtureRequest) -> Deleted:
    """Write threads, delete three of them while a run of one is in flight, and ask the library again."""
    version, asynchronous = request.param
    library = Library(version, agent.dsn, agent.schema, asynchronous)
    name = {key: f"{version} {key}" for key in (ONE, FLYING, KEPT, "other")}
    threads = list(name.values())
    steps = [
        *(talk(thread, "Hello", TOOL, user_id=USER) for thread in threads),
        *(read(thread) for thread in threads),
        {"do": "talk_until_told", "text": "Still there?", "session_id": name[FLYING], "user_id": USER},
        *(read(thread) for thread in threads),
        {"do": "sessions"},
        {"do": "next_second"},
        talk(name[FLYING], "Anew", user_id=USER),
        read(name[FLYING]),
    ]
    with library.process(*steps) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        page = delete(studio_server, agent, name[ONE])
        pages = delete(studio_server, agent, name[FLYING], name["other"])
        answers = library.answers(process, say="go on\n")
    count = len(threads)
    answered, *rest = answers[2 * count :]
    listed = [thread for thread in rest[count] if thread.startswith(version)]
    return Deleted(library, page, pages, answers[count : 2 * count], answered, rest[:count], listed, rest[-1])


def test_the_question_says_exactly_what_goes(deleted: Deleted) -> None:
    one, flying, _, other = (counted(report) for report in deleted.before)
    assert f"Runs {one['runs']} Messages {one['messages']}" in deleted.page
    assert f"Runs {flying['runs'] + other['runs']} Messages {flying['messages'] + other['messages']}" in deleted.pages


def test_the_library_sees_nothing_of_it_and_all_of_the_rest(deleted: Deleted) -> None:
    one, flying, kept, other = deleted.after
    assert (one, flying, other) == (None, None, None)
    assert kept == deleted.before[2]
    assert deleted.listed == [f"{deleted.library.environment} {KEPT}"]


def test_a_run_in_flight_ends_well_and_brings_nothing_back(deleted: Deleted) -> None:
    """That it brings nothing back is in the test above, which reads after the run has ended."""
    assert deleted.answered is True


def test_a_later_conversation_under_the_same_id_is_a_new_thread(
    studio_server: StudioServer, agent: ServedAgent, deleted: Deleted
) -> None:
    assert [message["content"] for message in deleted.later["messages"]] == ["Anew", "You said: Anew"]
    thread = f"{deleted.library.environment} {FLYING}"
    assert indexed(studio_server, agent.schema, thread) == counted(deleted.later)


def test_nothing_is_left_of_the_others(studio_server: StudioServer, agent: ServedAgent, deleted: Deleted) -> None:
    gone = [f"{deleted.library.environment} {name}" for name in (ONE, "other")]
    studio_server.fold(agent.schema)
    for table in ("agno_sessions", "agno_runs", "memory_thread", "memory_participant", "memory_run"):
        left = studio_server.sql(f"select 1 from {table} where session_id = any(%s)", gone, schema=agent.schema)
        assert (table, left) == (table, [])
