"""Pages of a thread's runs: the same over runs in the column, in the table, in both, and in no order."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from memory.index.threads import get_thread
from memory.transcript import stored
from memory.transcript.place import Place
from memory.transcript.runs import RunPage, find_place, get_run, iter_runs, list_runs, stream_run
from memory.transcript.stored import StoredRun
from studio.models import Agent
from tests.world import NOW, run, write_run, write_thread

LAYOUTS = ("column", "table", "both", "split", "unsorted", "unindexed")
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def agno(run_id: str, **more: Any) -> dict[str, Any]:
    return run(run_id, f"question {run_id}", f"answer {run_id}", **{"agent_id": "support", **more})


def write(agent: Agent, session_id: str, runs: list[dict[str, Any]], layout: str) -> None:
    """Write runs that are given in the transcript's order."""
    if layout == "split":
        half = len(runs) // 2
        write_thread(agent, session_id, runs[:half], layout="column")
        for index, item in enumerate(runs[half:], half):
            write_run(agent, session_id, item, index)
    elif layout == "unsorted":
        write_thread(agent, session_id, random.Random(1).sample(runs, len(runs)), layout="column")
    elif layout == "unindexed":
        write_thread(agent, session_id, runs, layout="column")
        execute("delete from memory_thread where session_id = %s", session_id)
    else:
        write_thread(agent, session_id, runs, layout=layout)


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def thread_of(session_id: str) -> dict[str, Any]:
    thread = get_thread(session_id)
    assert thread is not None
    return thread


def page(session_id: str, cursor: str | None = "", **more: Any) -> RunPage:
    return list_runs(thread_of(session_id), cursor or "", **more)


def ids(page: RunPage) -> list[str | None]:
    return [stored.run_id for stored in page.runs]


def flat(pages: list[list[str | None]]) -> list[str | None]:
    return [run_id for one in pages for run_id in one]


def walk(session_id: str, **more: Any) -> list[list[str | None]]:
    """Ids of each page from the first to the last, by its links."""
    pages = [page(session_id, **more)]
    while cursor := pages[-1].next:
        pages.append(page(session_id, cursor, **more))
    return [ids(one) for one in pages]


def test_it_reads_a_thread_in_pages_newest_first(here: Agent, layout: str) -> None:
    runs = [agno(f"r{n:02}", at=NOW + n) for n in range(45)]
    write(here, "s", runs, layout)
    expected = [f"r{n:02}" for n in range(45)][::-1]
    assert walk("s") == [expected[:20], expected[20:40], expected[40:]]


def test_it_reads_a_thread_oldest_first(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n:02}", at=NOW + n) for n in range(45)], layout)
    expected = [f"r{n:02}" for n in range(45)]
    assert walk("s", order="oldest") == [expected[:20], expected[20:40], expected[40:]]


def test_it_counts_all_runs_of_the_thread(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(5)], layout)
    first = page("s", limit=2)
    assert (first.total, first.shown) == (5, 2)
    assert page("s", first.older, limit=2).shown == 4


def test_it_goes_back_the_way_it_came(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(9)], layout)
    first = page("s", limit=3)
    second = page("s", first.older, limit=3)
    third = page("s", second.older, limit=3)
    assert ids(third) == ["r2", "r1", "r0"]
    assert (third.older, first.newer) == (None, None)
    assert ids(page("s", third.newer, limit=3)) == ids(second)
    assert ids(page("s", second.newer, limit=3)) == ids(first)
    assert page("s", second.newer, limit=3).newer is None


def test_it_opens_the_page_of_a_named_run(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(9)], layout)
    middle = page("s", anchor_run="r5", limit=3)
    assert ids(middle) == ["r5", "r4", "r3"]
    assert ids(page("s", middle.newer, limit=3)) == ["r8", "r7", "r6"]
    assert page("s", anchor_run="r8", limit=3).newer is None
    assert ids(page("s", anchor_run="r5", limit=3, order="oldest")) == ["r5", "r6", "r7"]


def test_a_named_run_that_is_not_there_opens_the_first_page(here: Agent, layout: str) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(3)], layout)
    assert ids(page("s", anchor_run="nobody")) == ["r2", "r1", "r0"]
    assert find_place("s", "nobody") is None


def test_runs_of_one_second_are_ordered_by_their_index(here: Agent) -> None:
    for index, run_id in ((2, "b"), (0, "c"), (1, "a")):
        if run_id == "b":
            write_thread(here, "s", [])
        write_run(here, "s", agno(run_id, at=NOW), index)
    assert walk("s", order="oldest", limit=2) == [["c", "a"], ["b"]]


def test_runs_of_one_second_and_index_are_ordered_by_their_id(here: Agent) -> None:
    write_thread(here, "s", [])
    for run_id in ("m", "z", "a", "k"):
        write_run(here, "s", agno(run_id, at=NOW), 0)
    assert walk("s", limit=3) == [["z", "m", "k"], ["a"]]


def test_a_run_without_a_time_has_that_of_its_thread(here: Agent) -> None:
    runs = [agno("early", at=NOW - 9), {**agno("timeless"), "created_at": None}, agno("late", at=NOW + 9)]
    write_thread(here, "s", runs, at=NOW)
    assert walk("s", order="oldest") == [["early", "timeless", "late"]]
    assert page("s").runs[1].created_at == NOW


def test_the_table_wins_over_the_column(here: Agent) -> None:
    write_thread(here, "s", [agno("r", status="RUNNING"), agno("only")], layout="column")
    write_run(here, "s", agno("r", status="COMPLETED"), 7)
    found = {one.run_id: one for one in page("s").runs}
    assert found.keys() == {"r", "only"}
    assert (found["r"].status, found["r"].position, found["only"].position) == ("COMPLETED", None, 1)


def test_a_run_of_another_thread_does_not_hide_ours(here: Agent) -> None:
    write_thread(here, "mine", [agno("r")], layout="column")
    write_thread(here, "theirs", [agno("r", user_id="eve")], layout="table")
    assert ids(page("mine")) == ["r"]
    assert page("mine").runs[0].user_id is None


def test_runs_without_an_id_and_things_that_are_no_runs_are_pages_too(here: Agent) -> None:
    odd: list[Any] = [{"created_at": NOW}, None, 5, "text", [], {"created_at": NOW}]
    write_thread(here, "s", odd, layout="column")
    assert [len(one) for one in walk("s", limit=2)] == [2, 2, 2]
    assert [one.position for one in page("s").runs] == [5, 4, 3, 2, 1, 0]
    assert page("s").runs[2].run.problem
    write_run(here, "s", agno("late", at=NOW + 5), 0)
    assert [len(one) for one in walk("s", limit=2)] == [2, 2, 2, 1]


def test_an_empty_thread_has_one_empty_page(here: Agent) -> None:
    write_thread(here, "s", [], layout="table")
    assert page("s") == RunPage([], "newest", None, None, 0, 0)


def test_real_shared_threads_of_both_generations_read_whole(here: Agent) -> None:
    for name, where in (("agno_2_5_thread.json", "column"), ("agno_3_1_thread.json", "table")):
        thread = json.loads((DATA / name).read_text())
        rows = thread.get("runs_column") or [row["run_data"] for row in thread["agno_runs_rows"]]
        write_thread(here, name, [], layout="table") if where == "table" else write_thread(here, name, rows)
        for index, item in enumerate(rows if where == "table" else []):
            write_run(here, name, item, index * 2 if index == 2 else 0)  # as seen: 0, 0, 2
        pages = walk(name, limit=2, order="oldest")
        assert sorted(str(one) for one in flat(pages)) == sorted(item["run_id"] for item in rows)
        assert [one.run.user_id for one in page(name, order="oldest").runs][-1] == "carol@example.com"


# What cannot be shown is said, not fetched.


def large(run_id: str, size: int, **more: Any) -> dict[str, Any]:
    noise = random.Random(run_id).randbytes(size // 2).hex()
    return agno(run_id, messages=[{"role": "tool", "content": noise}], **more)


def test_a_run_that_is_too_large_leaves_its_facts_and_its_size(
    here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, text=50_000)
    write(here, "s", [agno("small", at=NOW), large("big", 400_000, at=NOW + 1, status="ERROR")], layout)
    big, small = page("s").runs
    assert big.too_large
    assert big.text is None
    assert abs(big.bytes - 400_000) < 20_000
    assert (big.run.model, big.run.status, big.run.input_tokens) == ("gpt-4o-mini", "ERROR", 10)
    assert big.run.messages[0].text.value == "question big"
    assert small.text is not None


def test_a_run_that_packs_well_is_weighed_unpacked(here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, text=50_000)
    write(here, "s", [agno("packs", messages=[{"role": "user", "content": "a" * 400_000}])], layout)
    (packs,) = page("s").runs
    assert packs.too_large
    assert packs.bytes > 400_000


def test_a_page_ends_early_at_its_budget(here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, text=50_000, budget=100_000)
    write(here, "s", [large(f"r{n}", 40_000, at=NOW + n) for n in range(7)], layout)
    assert walk("s", order="oldest") == [["r0", "r1"], ["r2", "r3"], ["r4", "r5"], ["r6"]]


def test_a_page_unpacks_no_more_than_its_budget(here: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, stored=50_000, stored_budget=100_000)
    write(here, "s", [large(f"r{n}", 40_000, at=NOW + n) for n in range(5)], "table")
    assert flat(walk("s")) == ["r4", "r3", "r2", "r1", "r0"]
    assert len(walk("s")) > 2


def limit(
    monkeypatch: pytest.MonkeyPatch,
    text: int = stored.TEXT_LIMIT,
    budget: int = stored.TEXT_BUDGET,
    stored: int = stored.STORED_LIMIT,
    stored_budget: int = stored.STORED_BUDGET,
) -> None:
    from psycopg import sql

    values = {"text_limit": text, "text_budget": budget, "stored_limit": stored, "stored_budget": stored_budget}
    monkeypatch.setattr(
        "memory.transcript.stored._LIMITS", {name: sql.Literal(value) for name, value in values.items()}
    )


@pytest.mark.parametrize("poison", ["9" * 5000, "[" * 3000 + "]" * 3000, "1e400", '{"a": 1, "a": 2}', '"\\u202e"'])
def test_poisoned_json_costs_one_box(here: Agent, layout: str, poison: str) -> None:
    write(here, "s", [agno("good", at=NOW), {**agno("bad", at=NOW + 1), "metadata": "POISON"}], layout)
    for table, column in (("agno_sessions", "runs"), ("agno_runs", "run_data")):
        execute(
            f"update {table} set {column} = replace({column}::text, '\"POISON\"', %s)::jsonb"
            f" where {column}::text like '%%POISON%%'",
            poison,
        )
    runs = {one.run_id: one.run for one in page("s").runs}
    assert runs.keys() == {"good", "bad"}
    assert not runs["good"].problem
    assert bool(runs["bad"].problem) == poison.startswith("[")
    assert len(list(iter_runs(thread_of("s")))) == 2


# Families


def family(parent: str, members: int, at: int) -> list[dict[str, Any]]:
    subs = [agno(f"{parent}.{n}", at=at, parent_run_id=parent) for n in range(members)]
    return [agno(parent, at=at - 1), *subs]


def test_a_page_does_not_part_a_run_and_its_sub_runs(here: Agent, layout: str) -> None:
    runs = [item for n in range(6) for item in family(f"f{n}", 3, NOW + 10 * n)]
    write(here, "s", runs, layout)
    for order in ("newest", "oldest"):
        pages = walk("s", order=order, limit=6)
        assert [{str(run_id)[:2] for run_id in one} for one in pages] == [
            {f"f{n}"} for n in (range(6) if order == "oldest" else range(5, -1, -1))
        ]


def test_a_family_larger_than_a_page_is_parted(here: Agent, layout: str) -> None:
    write(here, "s", [agno("first", at=NOW - 9), *family("f", 30, NOW)], layout)
    pages = walk("s", limit=10)
    assert flat(pages)[-2:] == ["f", "first"]
    assert sum(len(one) for one in pages) == 32


def test_runs_that_are_each_others_parents_are_shown(here: Agent, layout: str) -> None:
    write(here, "s", [agno("a", parent_run_id="b"), agno("b", parent_run_id="a", at=NOW + 1)], layout)
    assert sorted(str(one) for one in flat(walk("s", limit=1))) == ["a", "b"]


# What the model is sent


def sent(session_id: str, window: int, **more: Any) -> list[str | None]:
    """Ids of the runs that are sent, over all pages."""
    one = page(session_id, window=window, **more)
    found = [run.run_id for run in one.runs if run.key in one.sent]
    while cursor := one.next:
        one = page(session_id, cursor, window=window, **more)
        found += [run.run_id for run in one.runs if run.key in one.sent]
    return found


@pytest.fixture
def mixed(here: Agent, layout: str) -> str:
    runs = [agno(f"r{n}", at=NOW + n) for n in range(12)]
    runs[11]["status"] = "ERROR"
    runs[9]["status"] = "PAUSED"
    runs[8]["parent_run_id"] = "r7"
    runs[7]["status"] = "CANCELLED"
    del runs[6]["agent_id"]
    runs[5]["status"] = "REGENERATED"
    write(here, "s", runs, "column" if layout == "unsorted" else layout)
    return "s"


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [2, 20])
def test_it_marks_the_runs_that_the_model_is_sent(mixed: str, order: str, limit: int) -> None:
    assert sorted(str(one) for one in sent(mixed, 3, order=order, limit=limit)) == ["r10", "r3", "r4"]
    assert sent(mixed, 0) == []


def test_it_marks_them_on_the_page_of_a_named_run(mixed: str) -> None:
    one = page(mixed, anchor_run="r4", window=3, limit=3)
    assert [run.run_id for run in one.runs if run.key in one.sent] == ["r4", "r3"]


def test_a_workflows_runs_are_no_history(here: Agent) -> None:
    write_thread(here, "s", [agno("r")], session_type="workflow")
    assert sent("s", 3) == []


# One run, all runs


def test_one_run_is_found_wherever_it_is(here: Agent, layout: str) -> None:
    write(here, "s", [agno("a"), agno("b", at=NOW + 1)], layout)
    write_thread(here, "other", [agno("c")])
    text = get_run("s", "b")
    assert text is not None
    assert json.loads(text)["content"] == "answer b"
    assert get_run("s", "c") is None
    assert get_run("nowhere", "b") is None


def test_a_run_without_an_id_is_found_by_its_position(here: Agent) -> None:
    write_thread(here, "s", [agno("a"), {"content": "nameless"}])
    assert json.loads(get_run("s", "", 1) or "") == {"content": "nameless"}
    assert get_run("s", "", 2) is None


def test_all_runs_come_out_oldest_first_and_the_largest_too(
    here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, text=50_000, budget=60_000)
    runs = [agno(f"r{n}", at=NOW + n) for n in range(5)]
    runs[2] = large("r2", 400_000, at=NOW + 2)
    runs[3] = large("r3", 40_000, at=NOW + 3)
    write(here, "s", runs, layout)
    assert [json.loads("".join(pieces))["run_id"] for pieces in iter_runs(thread_of("s"))] == [
        "r0",
        "r1",
        "r2",
        "r3",
        "r4",
    ]


def test_one_run_comes_in_pieces(here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.transcript.runs.PIECE", 1000)
    write(here, "s", [agno("a", messages=[{"role": "user", "content": "é😀" * 2000}])], layout)
    pieces = list(stream_run("s", "a"))
    assert max(len(piece.encode()) for piece in pieces) <= 1003  # and what the piece before had begun
    assert "".join(pieces) == get_run("s", "a")
    assert list(stream_run("s", "b")) == []


# What it costs


def test_a_page_takes_one_statement_however_many_runs_there_are(here: Agent) -> None:
    for session_id, count, where in (("few", 3, "column"), ("many", 300, "column"), ("table", 300, "table")):
        write_thread(here, session_id, [agno(f"{session_id}{n}", at=NOW + n) for n in range(count)], layout=where)
        thread = get_thread(session_id)
        assert thread is not None
        with CaptureQueriesContext(
            connection,
        ) as queries:
            one = list_runs(thread)
        assert len(queries) == 1
        with CaptureQueriesContext(connection) as queries:
            list_runs(thread, one.older)
        assert len(queries) == 1


def test_a_column_is_sliced_and_never_read_by_element(here: Agent) -> None:
    write_thread(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(60)])
    thread = get_thread("s")
    assert thread is not None
    with CaptureQueriesContext(connection) as queries:
        list_runs(thread)
    assert "$[39 to 59]" in queries[0]["sql"]


def test_a_page_of_the_table_reads_along_the_index(here: Agent, analyze: Callable[..., None]) -> None:
    write_thread(here, "s", [agno(f"r{n}", at=NOW + n // 3) for n in range(300)], layout="table")
    execute(
        "with s as (insert into agno_sessions (session_id, session_type, created_at)"
        " select 'other ' || n, 'agent', %s from generate_series(1, 300) n returning session_id)"
        " insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
        " select s.session_id || '.' || n, s.session_id, 'agent', '{}', %s + n * 5 from s, generate_series(1, 20) n",
        NOW,
        NOW,
    )
    # in so small a table the planner likes this one as well
    execute("drop index idx_agno_runs_created_at")
    analyze("agno_runs")
    thread = get_thread("s")
    assert thread is not None
    older = list_runs(thread).older
    with CaptureQueriesContext(connection) as queries:
        list_runs(thread, older)
    with connection.cursor() as cursor:
        cursor.execute("explain " + queries[0]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    condition = next(line for line in plan.split("\n") if "Index Cond" in line)
    assert "memory_agno_runs_order" in plan
    assert "ROW(created_at" in condition


def test_what_is_sent_is_found_without_unpacking_older_runs(here: Agent, analyze: Callable[..., None]) -> None:
    text = random.Random(1).randbytes(6_000).hex()
    write_thread(here, "s", [run(f"r{n}", "q", text, at=NOW + n, agent_id="a") for n in range(200)], layout="table")
    analyze("agno_runs")
    thread = get_thread("s")
    assert thread is not None
    with CaptureQueriesContext(connection) as queries:
        page = list_runs(thread, window=10)
    assert len(page.sent) == 10
    asked = next(query["sql"] for query in queries if "agent_id', 'team_id" in query["sql"])
    assert pages_read(asked) * 3 < pages_read("select count(*) from agno_runs where run_data ? 'agent_id'")


def pages_read(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("explain (analyze, buffers, format json) " + query)
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "jWzFd", "A" * 70_000, Place(2**70, 0, "a", None).write(), Place(0, 0, "a\x00", None).write(), "al0="],
)
def test_a_cursor_made_elsewhere_is_a_value_error(here: Agent, cursor: str) -> None:
    write_thread(here, "s", [agno("r")])
    with pytest.raises(ValueError):
        page("s", cursor)


@pytest.mark.parametrize("position", [-(2**63), -1, 0, 5, 2**40, 2**63 - 1])
@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize("inclusive", [True, False])
def test_a_forged_place_is_a_page_all_the_same(here: Agent, position: int, newer: bool, inclusive: bool) -> None:
    write_thread(here, "s", [agno("a"), agno("b")])
    place = Place(NOW, 0, None, position, newer, inclusive, 1, 3)
    assert isinstance(page("s", place.write(), window=2), RunPage)


def test_a_place_keeps_odd_ids(here: Agent) -> None:
    for run_id in ("", "é/?#", "x" * 4096, "\u202e'\"\n", None):
        place = Place(NOW, 3, run_id, None)
        assert Place.read(place.write()) == place
        assert len(place.write()) < 6000


def test_a_run_shows_the_rows_own_fields() -> None:
    row = StoredRun("r", "p", 5, 0, None, 10, False, '{"run_id": "other", "status": "RUNNING"}', "paused", "u")
    assert (row.run.run_id, row.run.parent_run_id, row.run.status, row.run.user_id) == ("r", "p", "PAUSED", "u")
