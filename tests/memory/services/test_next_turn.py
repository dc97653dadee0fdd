"""Which runs of a page the model is sent: what pages mark is what the function says, in both orders."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import memory.services.next_turn as next_turn_module
import memory.transcript.agno_thread as agno_thread
from memory.history.answer import Answer
from memory.history.cases import read_cases, settings, stored
from memory.history.question import Generation, Settings
from memory.history.thread import Thread
from memory.index import feed
from memory.services.next_turn import NextTurn, next_turn
from memory.transcript.place import Place
from memory.transcript.runs import RunPage, find_place, list_runs
from studio.models import Agent
from tests.memory.transcript.threads import LAYOUTS, agno, execute, thread_of, write
from tests.world import NOW, message, run, write_run, write_thread

CASES = Path(__file__).parents[1] / "history" / "data"
EACH = 150


def pages(session_id: str, asked: Settings, **more: Any) -> Iterator[tuple[RunPage, NextTurn]]:
    """Each page of a thread with its answer, by the links from page to page."""
    thread, here = thread_of(session_id), None
    while True:
        page = list_runs(thread, here, **more)
        turn = next_turn(thread, asked, page)
        assert turn is not None
        yield page, turn
        if page.next is None:
            return
        here = Place.read(page.next)


def marked(session_id: str, depth: int, **more: Any) -> list[str | None]:
    """Ids of the runs that are sent, over all pages, in their order."""
    asked = Settings(num_history_runs=depth)
    return [row.run_id for page, turn in pages(session_id, asked, **more) for row in page.runs if turn.sends(row)]


@pytest.fixture(params=LAYOUTS)
def mixed(here: Agent, request: pytest.FixtureRequest) -> str:
    runs = [agno(f"r{n}", at=NOW + n) for n in range(12)]
    runs[11]["status"] = "ERROR"
    runs[9]["status"] = "PAUSED"
    runs[8]["parent_run_id"] = "r7"
    runs[7]["status"] = "CANCELLED"
    del runs[6]["agent_id"]
    runs[5]["status"] = "Error"
    write(here, "s", runs, request.param)
    return "s"


@pytest.fixture(params=["whole", "newest"])
def large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each thread whole, or as if it were a large one."""
    if request.param == "newest":
        monkeypatch.setattr(agno_thread, "WHOLE_RUNS", 0)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [2, 20])
def test_the_runs_that_the_model_is_sent_are_marked(mixed: str, order: str, limit: int) -> None:
    assert sorted(str(one) for one in marked(mixed, 3, order=order, limit=limit)) == ["r10", "r4", "r5"]
    assert marked(mixed, 1, order=order, limit=limit) == ["r10"]


@pytest.mark.usefixtures("large")
def test_they_are_marked_on_the_page_of_a_named_run(mixed: str) -> None:
    thread = thread_of(mixed)
    page = list_runs(thread, find_place(thread, "r5"), 3)
    turn = next_turn(thread, Settings(num_history_runs=3), page)
    assert turn
    assert [row.run_id for row in page.runs if turn.sends(row)] == ["r5", "r4"]


@pytest.mark.usefixtures("large")
def test_nothing_is_sent_without_storage(mixed: str) -> None:
    ((page, turn),) = pages(mixed, Settings(session_storage=False))
    assert (turn.answer.why, [row for row in page.runs if turn.sends(row)]) == ("storage off", [])


def test_a_thread_that_has_gone_has_no_next_turn(mixed: str) -> None:
    thread, page = thread_of(mixed), list_runs(thread_of(mixed))
    execute("delete from agno_sessions")
    assert next_turn(thread, Settings(), page) is None


def test_an_index_that_is_behind_is_not_asked(here: Agent) -> None:
    write(here, "s", [agno("a", at=NOW)], "column")
    thread = thread_of("s")
    write_run(here, "s", agno("b", at=NOW + 1), 1)
    execute("update agno_sessions set runs = %s where session_id = 's'", json.dumps([agno("a"), agno("c")]))
    page = list_runs(thread)
    turn = next_turn(thread, Settings(num_history_runs=2), page)
    assert turn
    assert {row.run_id for row in page.runs if turn.sends(row)} == {"b", "c"}


_VALUES = ("session_data", "metadata", "summary")


def load(agent: Agent, case: dict[str, Any]) -> bool:
    """Write a recorded thread as it was stored; tell whether it has rows of runs."""
    session, column = case["session"], case["column"]
    values = {name: json.dumps(session[name]) for name in _VALUES if session[name] is not None}
    if column not in ("absent", None):
        values["runs"] = json.dumps(column)
    row = {"session_id": session["session_id"], "session_type": session["session_type"], "user_id": session["user_id"]}
    row |= {"created_at": session["created_at"], "updated_at": session["updated_at"], **values}
    marks = ", ".join(["%s"] * len(row))
    execute(f"insert into agno_sessions ({', '.join(row)}) values ({marks})", *row.values())
    for one in case["table"] or []:
        named = {**one, "run_data": json.dumps(one["run_data"])}
        marks = ", ".join(["%s"] * len(named))
        execute(f"insert into agno_runs ({', '.join(named)}) values ({marks})", *named.values())
    feed.fold_all()
    return bool(case["table"])


def expected(case: dict[str, Any], asked: Settings, has_rows: bool) -> Answer:
    """What the function says of the thread as a page knows it: its generation, and the owner speaks."""
    session = stored(case)
    if not has_rows:
        # the table is there in every schema of ours
        session = type(session)(**{name: getattr(session, name) for name in session.__slots__} | {"table": None})
    thread = Thread.read(session, Generation.of_thread(has_rows), is_team=session.session_type == "team")
    return thread.answer(asked, session.owner)


def told(case: dict[str, Any], asked: Settings, **more: Any) -> dict[str, list[str]]:
    """The fates on all pages, by the keys that runs have in the case."""
    rows = {one["run_id"]: f"t{n}" for n, one in enumerate(case["table"] or [])}
    found: dict[str, list[str]] = {}
    for page, turn in pages(case["session"]["session_id"], asked, **more):
        for row in page.runs:
            key = rows[row.run_id or ""] if row.position is None else f"c{row.position}"
            fates = [str(one) for one in turn.fates(row)]
            assert turn.sends(row) == bool({"sent", "calls cut"} & set(fates))
            assert found.setdefault(key, fates) == fates
    return found


@pytest.mark.parametrize("name", ["history_cases_2_5", "history_cases_3_1"])
def test_the_marks_of_both_orders_are_what_the_function_says(here: Agent, name: str) -> None:
    cases = list(read_cases(CASES / f"{name}.jsonl.gz"))
    checked = 0
    for case in random.Random(12).sample(cases, EACH):
        asked = settings(case["asks"][0])
        with transaction.atomic():
            has_rows = load(here, case)
            right = {key: [str(one) for one in fates] for key, fates in expected(case, asked, has_rows).fates.items()}
            for order in ("newest", "oldest"):
                shown = told(case, asked, order=order, limit=7)
                assert {key: right.get(key, []) for key in shown} == shown, (case["id"], order)
                checked += len(shown)
            transaction.set_rollback(True)
    assert checked > 6 * EACH


@pytest.mark.parametrize("name", ["history_cases_2_5", "history_cases_3_1"])
def test_so_are_those_of_large_threads_that_agno_can_read(
    here: Agent, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agno_thread, "WHOLE_RUNS", -1)
    checked = 0
    for case in random.Random(5).sample(list(read_cases(CASES / f"{name}.jsonl.gz")), EACH):
        asked = settings(case["asks"][0])
        with transaction.atomic():
            answer = expected(case, asked, load(here, case))
            # whether it can be read is not known then
            if not answer.unreadable and asked.depth is not None and asked.depth > 0:
                right = {key: [str(one) for one in fates] for key, fates in answer.fates.items()}
                for order in ("newest", "oldest"):
                    shown = told(case, asked, order=order, limit=7)
                    known = {key: fates for key, fates in shown.items() if fates}
                    assert {key: right[key] for key in known} == known, (case["id"], order)
                    beyond = {one for key in shown.keys() - known.keys() for one in right.get(key, [])}
                    assert not beyond & {"sent", "calls cut"}, (case["id"], order)
                    checked += len(known)
            transaction.set_rollback(True)
    assert checked > 3 * EACH


@pytest.mark.usefixtures("large")
def test_a_run_without_an_index_is_the_newest(here: Agent) -> None:
    write(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(3)], "table")
    execute("update agno_runs set run_index = null where run_id = 'r0'")
    assert marked("s", 1, order="oldest") == ["r0"]


@pytest.mark.usefixtures("large")
def test_agno_sees_no_runs_if_the_first_is_none(here: Agent) -> None:
    write_thread(here, "s", [7, *(agno(f"r{n}", at=NOW + n) for n in range(30))])
    assert marked("s", 3, order="oldest") == []


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_of_a_large_run_what_no_page_shows_counts_too(here: Agent, order: str) -> None:
    copy = {**message("user", random.Random(3).randbytes(150_000).hex()), "from_history": True}
    last = agno("last", at=NOW + 30)
    last["messages"] = [copy, *last["messages"]]
    write_thread(here, "s", [*(agno(f"r{n}", at=NOW + n) for n in range(30)), last])
    found = {
        row.run_id: turn.fates(row)
        for page, turn in pages("s", Settings(num_history_runs=1), order=order)
        for row in page.runs
    }
    assert found["last"] == ["copy", "sent", "sent"]


def test_a_thread_in_which_nothing_counts_is_not_read_to_its_end(here: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_turn_module, "_MOST", 100)
    for where in ("column", "table"):
        runs = [agno(f"{where} r{n}", at=NOW + n, status="ERROR") for n in range(1_000)]
        write_thread(here, where, runs, layout=where)
        thread = thread_of(where)
        page = list_runs(thread, order="oldest")
        with CaptureQueriesContext(connection) as queries:
            turn = next_turn(thread, Settings(num_history_runs=3), page)
        assert turn
        assert (turn.is_checked, turn.answer.messages) == (False, [])
        # 13, 52 and 208 runs
        assert len(queries) == 3


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("more", [{}, {"other": 1}])
def test_of_a_large_summary_a_short_part_is_read(here: Agent, more: dict[str, Any]) -> None:
    words = random.Random(2).randbytes(100_000).hex()
    summary = {"summary": words, "topics": [words] * 3, "updated_at": "2026-11-28T09:00:00", **more}
    write_thread(here, "s", [agno("r1", at=NOW)], summary=summary)
    ((page, turn),) = pages("s", Settings(num_history_runs=3, session_summaries=True))
    assert len(json.dumps(turn.summary)) < 20_000
    assert turn.summary["summary"] == words[:10_000]
    # a key of another kind makes the whole thread unreadable
    assert [turn.sends(row) for row in page.runs] == [not more]


@pytest.mark.parametrize(("runs", "is_checked"), [(30, True), (300, False)])
def test_a_thread_takes_one_statement(here: Agent, runs: int, is_checked: bool) -> None:
    for where in ("column", "table", "empty column"):
        written = [agno(f"{where}{n}", at=NOW + n) for n in range(runs)]
        write_thread(here, where, written, layout="column" if where == "column" else "table")
        if where == "empty column":
            execute("update agno_sessions set runs = 'null' where session_id = %s", where)
        thread = thread_of(where)
        page = list_runs(thread)
        with CaptureQueriesContext(connection) as queries:
            turn = next_turn(thread, Settings(num_history_runs=10), page)
        assert turn
        assert (len(queries), turn.is_checked, len(turn.answer.runs)) == (1, is_checked, 10)


def test_the_newest_page_of_a_long_column_is_not_read_again(here: Agent) -> None:
    write_thread(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(300)])
    with CaptureQueriesContext(connection) as queries:
        assert marked("s", 10) == [f"r{n}" for n in range(299, 289, -1)]
    assert not [query for query in queries if "last - " in query["sql"]]
    assert marked("s", 10, order="oldest") == [f"r{n}" for n in range(290, 300)]
    assert marked("s", 30) == [f"r{n}" for n in range(299, 269, -1)]


def test_a_long_thread_is_read_until_enough_runs_count(here: Agent) -> None:
    runs = [agno(f"r{n}", at=NOW + n, status="ERROR" if n % 20 else "COMPLETED") for n in range(300)]
    for where in ("column", "table"):
        write_thread(here, where, [{**one, "run_id": f"{where} {one['run_id']}"} for one in runs], layout=where)
        assert marked(where, 3, order="oldest", limit=200) == [f"{where} r{n}" for n in (240, 260, 280)]


def test_what_is_sent_is_found_without_unpacking_older_runs(here: Agent, analyze: Callable[..., None]) -> None:
    text = random.Random(1).randbytes(6_000).hex()
    write_thread(here, "s", [run(f"r{n}", "q", text, at=NOW + n, agent_id="a") for n in range(200)], layout="table")
    analyze("agno_runs")
    thread = thread_of("s")
    with CaptureQueriesContext(connection) as queries:
        turn = next_turn(thread, Settings(num_history_runs=10), list_runs(thread))
    assert turn
    assert len(turn.answer.runs) == 10
    asked = next(query["sql"] for query in queries if "from_history" in query["sql"])
    assert pages_read(asked) * 3 < pages_read("select count(*) from agno_runs where run_data ? 'agent_id'")


def pages_read(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("explain (analyze, buffers, format json) " + query)
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
