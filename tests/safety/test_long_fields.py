"""An agent puts 4 MB into every text that it can write: no list, header or fragment has it, and nothing is lost."""

import json
import re
from pathlib import Path

import httpx
import psycopg
import pytest

from studio import ids
from tests.markup import Page
from tests.rounds import rounds
from tests.safety.roles import Studio
from tests.server import ServedAgent

THREADS = rounds(4, 6)
MB_4 = 4_000_000
# in a run, which has some twenty of them
SAID = 300_000
# what an index of Agno's takes, as it is compressed there
INDEXED = 200_000
# bytes of any answer that is no download
MOST = 300_000
# a worker may take so many more bytes for it
GROWTH = 150_000_000

SESSIONS = """
    insert into agno_sessions (session_id, session_type, agent_id, team_id, workflow_id, user_id, session_data,
        agent_data, team_data, workflow_data, metadata, summary, runs, created_at, updated_at)
    select n || repeat('s', %(indexed)s), repeat('t', %(indexed)s), long, long, long, n || long,
        jsonb_build_object('session_name', n || long, 'session_state', long, long, 1), field, field, field, field,
        jsonb_build_object('summary', long, 'topics', jsonb_build_array(long), 'updated_at', long),
        case when n %% 2 = 0 then jsonb_build_array(jsonb_build_object('run_id', n || said, 'parent_run_id', null,
            'user_id', n || 'guest' || said, 'status', said, 'agent_id', said, 'agent_name', said, 'model', said,
            'model_provider', said, 'content', said, 'created_at', 1790000000, 'input',
            jsonb_build_object('input_content', said), 'messages', jsonb_build_array(
                jsonb_build_object('id', said, 'role', 'user', 'name', said, 'content', said),
                jsonb_build_object('id', said, 'role', 'assistant', 'content', said, 'tool_calls', jsonb_build_array(
                    jsonb_build_object('id', said, 'function', jsonb_build_object('name', said, 'arguments', said)))),
                jsonb_build_object('id', said, 'role', 'tool', 'tool_call_id', said, 'tool_name', said,
                    'content', said)))) end, 1790000000 + n, 1790000000 + n
    from generate_series(1, %(threads)s) n, repeat('x', %(long)s) long,
        jsonb_build_object('name', long) field, repeat('x', %(said)s) said"""
RUNS = """
    insert into agno_runs (run_id, session_id, run_type, agent_id, team_id, workflow_id, user_id, parent_run_id, status,
        run_index, run_data, created_at)
    select n || repeat('r', %(indexed)s), n || repeat('s', %(indexed)s), word, word, word, word, n || word,
        case when n %% 4 = 1 then long end, word, 0, jsonb_build_object('run_id', n || word, 'agent_id', said,
            'agent_name', said, 'model', said, 'content', said, 'status', 'ERROR', 'messages', jsonb_build_array(
                jsonb_build_object('id', said, 'role', 'user', 'content', said))), 1790000000
    from generate_series(1, %(threads)s, 2) n, repeat('x', %(long)s) long, repeat('w', %(indexed)s) word,
        repeat('x', %(said)s) said"""


@pytest.fixture(scope="module")
def filled(studio: Studio, agent: ServedAgent) -> ServedAgent:
    values = {"long": MB_4, "indexed": INDEXED, "said": SAID, "threads": THREADS}
    with psycopg.connect(agent.dsn, autocommit=True) as connection:
        connection.execute(SESSIONS, values)
        connection.execute(RUNS, values)
    studio.fold(agent.schema)
    assert studio.sql("select count(*) from memory_thread", schema=agent.schema) == [(THREADS,)]
    assert studio.sql("select error from memory_backlog", schema=agent.schema) == []
    return agent


def workers(studio: Studio) -> list[Path]:
    """The processes of the running studio, as directories of /proc."""
    mark = f"DATABASE_URL={studio.server.dsn}".encode()
    return [one for one in Path("/proc").glob("[0-9]*") if mark in readable(one / "environ")]


def readable(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def forget_peaks(processes: list[Path]) -> int:
    """Begin to measure anew, and return the bytes of the largest process."""
    for one in processes:
        (one / "clear_refs").write_text("5")
    return peak(processes)


def peak(processes: list[Path]) -> int:
    """The bytes that the largest process has had since."""
    found = [re.search(rb"VmHWM:\s*(\d+) kB", readable(one / "status")) for one in processes]
    return max(int(one[1]) * 1000 for one in found if one)


def addresses(agent: ServedAgent) -> list[str]:
    """Lists with each filter and order, and what is on the pages of one thread and one user."""
    threads, users = f"/agents/{agent.id}/threads/", f"/agents/{agent.id}/users/"
    filters = ["", "?q=xxxx", "?q=sss", "?errors=1", "?shared=1", "?active=90d", "?status=ERROR", "?since=2020-01-01"]
    filters += [f"?sort={sort}" for sort in ("created", "runs", "tokens")]
    pages = [threads + one for one in filters]
    pages += [users + one for one in ("", "?q=1", "?q=1xx", "?sort=threads", "?sort=runs")]
    pages += [f"/agents/{agent.id}/{tab}/" for tab in ("memory", "activity")]
    pages += [
        "/agents/",
        "/audit/",
        f"/agents/{agent.id}/delete-threads/?all=1",
        f"/agents/{agent.id}/delete-threads/?all=1&errors=1&q=x",
    ]
    api = f"/api/agents/{agent.id}"
    pages += [f"{api}/threads", f"{api}/threads?limit=200&sort=runs", f"{api}/threads?q=xxx", f"{api}/users?limit=200"]
    return pages


def links(page: str, agent: ServedAgent) -> list[str]:
    found = re.findall(r'(?:href|hx-get)="(/agents/[^"]*)"', page)
    # what asks for a whole text or run gets it
    whole = ("/export", "/runs/")
    return [one.replace("&amp;", "&") for one in dict.fromkeys(found) if not any(part in one for part in whole)]


@pytest.mark.attack
def test_no_list_or_page_has_what_is_long(studio: Studio, filled: ServedAgent) -> None:
    processes = workers(studio)
    assert processes
    key = {"x-api-key": studio.api.headers["x-api-key"]}
    before = forget_peaks(processes)
    largest = {}
    todo, seen = addresses(filled), set()
    while todo:
        address = todo.pop()
        seen.add(address)
        headers = key if address.startswith("/api/") else {"HX-Request": "true"} if len(seen) % 2 else {}
        answer = studio.browser.get(studio.server.url + address, headers=headers)
        # the log still names what was deleted
        assert answer.status_code in (200, 404, 422), (answer.status_code, address[:200])
        largest[address] = len(answer.content) + len(str(answer.headers))
        if len(seen) < 150:
            todo += [one for one in links(answer.text, filled) if one not in seen and one not in todo]
    address = max(largest, key=lambda one: largest[one])
    assert largest[address] <= MOST, (largest[address], address[:200])
    growth = peak(processes) - before
    print(
        f"memory of a worker under 4 MB fields: {before / 1e6:.0f} MB, and {growth / 1e6:.0f} MB more at its peak,"
        f" in {len(seen)} requests, the largest answer {largest[address] / 1000:.0f} KB ({address[:60]})"
    )
    assert growth <= GROWTH


def test_all_of_it_can_be_asked_for(studio: Studio, filled: ServedAgent) -> None:
    api = studio.api
    listed = api.get(f"/agents/{filled.id}/threads", params={"limit": 200}).json()["items"]
    assert listed
    for thread in listed:
        one = api.get(thread["url"].removeprefix("/api")).json()
        assert len(one["session_id"]) == INDEXED + len(one["session_id"].rstrip("s"))
        assert len(one["user_id"]) == MB_4 + len(one["user_id"].rstrip("x"))
        assert ids.key(one["session_id"]) == thread["session_id"]
        theirs = api.get(f"/agents/{filled.id}/threads", params={"user_id": thread["user_id"], "part": "owned"}).json()
        assert [row["session_id"] for row in theirs["items"]] == [thread["session_id"]]
    key = listed[0]["session_id"]
    page = studio.browser.get(f"{studio.server.url}/agents/{filled.id}/threads/{key}/export/")
    session = json.loads(page.text)["session"]
    assert len(session["metadata"]["name"]) == len(session["team_id"]) == MB_4


def test_a_page_after_a_long_id_has_the_rest(studio: Studio, filled: ServedAgent) -> None:
    found, cursor = [], ""
    while cursor is not None:
        page = studio.api.get(f"/agents/{filled.id}/threads", params={"limit": 1, "cursor": cursor}).json()
        found += [row["session_id"] for row in page["items"]]
        cursor = page["next"]
    every = studio.api.get(f"/agents/{filled.id}/threads", params={"limit": 200}).json()["items"]
    assert found == [row["session_id"] for row in every]


def test_the_download_of_a_thread_needs_little_memory(studio: Studio, filled: ServedAgent) -> None:
    (thread,) = studio.api.get(f"/agents/{filled.id}/threads", params={"limit": 1}).json()["items"]
    processes = workers(studio)
    before = forget_peaks(processes)
    address = f"{studio.server.url}/agents/{filled.id}/threads/{thread['session_id']}/export/"
    with httpx.Client(cookies=studio.browser.cookies, timeout=60) as client, client.stream("GET", address) as answer:
        sent = sum(map(len, answer.iter_bytes()))
    assert sent > 5 * MB_4
    assert peak(processes) - before < 60_000_000


@pytest.mark.parametrize("way", ["page", "api"])
def test_it_is_deleted_by_its_key(studio: Studio, filled: ServedAgent, way: str) -> None:
    key = studio.api.get(f"/agents/{filled.id}/threads").json()["items"][0]["session_id"]
    if way == "api":
        assert studio.api.delete(f"/agents/{filled.id}/threads/{key}").status_code == 204
    else:
        page = studio.browser.get(f"{studio.server.url}/agents/{filled.id}/delete-threads/?id={key}")
        (form,) = [form for form in Page(page.text).forms if "expect" in form.fields]
        assert "Deleted 1 thread" in form.send(studio.browser, page).text
    left = [one["session_id"] for one in studio.api.get(f"/agents/{filled.id}/threads").json()["items"]]
    assert key not in left
    (event,) = studio.sql(
        "select object from studio_auditevent where action = 'threads.delete' order by id desc limit 1"
    )
    assert event == (key,)


def test_an_id_that_looks_like_the_key_of_another_is_not_taken_for_it(studio: Studio, filled: ServedAgent) -> None:
    key = studio.api.get(f"/agents/{filled.id}/threads").json()["items"][0]["session_id"]
    assert ids.is_key(key)
    with psycopg.connect(filled.dsn, autocommit=True) as connection:
        connection.execute(
            "insert into agno_sessions (session_id, session_type, user_id, created_at) values (%s, 'agent', 'eve', 1)",
            [key],
        )
    (forged,) = studio.api.get(f"/agents/{filled.id}/threads", params={"user_id": "eve"}).json()["items"]
    assert forged["session_id"] == ids.key(key) != key
    assert studio.api.get(f"/agents/{filled.id}/threads/{ids.key(key)}").json()["session_id"] == key
    assert len(studio.api.get(f"/agents/{filled.id}/threads/{key}").json()["session_id"]) > INDEXED
    assert studio.api.delete(f"/agents/{filled.id}/threads/{ids.key(key)}").status_code == 204
    assert studio.api.get(f"/agents/{filled.id}/threads/{key}").status_code == 200
