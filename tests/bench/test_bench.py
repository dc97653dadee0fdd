"""The benchmark's own parts, at a size that takes seconds; what it measures is for `make bench`."""

import json
import statistics
from xml.etree import ElementTree

import pytest

from tests.bench import chart, report
from tests.bench.cases import cases
from tests.bench.compare import judge
from tests.bench.fill import copy_newest, fill
from tests.bench.measure import Taken, in_turns
from tests.bench.report import PageResult, Section
from tests.bench.shape import CHUNK, Layout, Shape
from tests.bench.targets import Verdict, above, below
from tests.bench.wire import Answers
from tests.server import StudioServer

THREADS = 200
SHAPE = Shape(THREADS)


def test_it_makes_the_same_threads_each_time_and_from_any_number_on() -> None:
    shape = Shape(CHUNK + 100)
    made = list(shape.threads_made())
    assert len({thread.session_id for thread in made}) == shape.threads
    assert list(shape.threads_made(CHUNK - 2, CHUNK + 2)) == made[CHUNK - 2 : CHUNK + 2]


def test_runs_messages_and_tool_calls_are_as_many_and_as_long_as_said() -> None:
    shape = Shape(2_000)
    threads = [thread for thread in shape.threads_made() if thread.number not in shape.giants]
    runs = [json.loads(run) for thread in threads for run in thread.runs]
    said = [m["content"] or "" for run in runs for m in run["messages"]]
    results = [m["content"] for run in runs for m in run["messages"] if m["role"] == "tool"]
    assert statistics.median(len(thread.runs) for thread in threads) == 6
    assert 1_100 < statistics.mean(map(len, said)) < 1_500
    assert 0.17 < len(results) / len(runs) < 0.23
    assert all(1_900 < len(result) < 8_100 for result in results)


def test_one_user_has_many_threads_and_some_threads_are_giants() -> None:
    threads = list(SHAPE.threads_made())
    assert sum(thread.user_id == SHAPE.heavy_user for thread in threads) == SHAPE.heavy == 20
    assert sorted(len(thread.runs) for thread in threads)[-5:] == [SHAPE.giant_runs] * 5
    assert Shape(1_000_000).giant_runs == 5_000
    assert Shape(1_000_000).heavy == 4_000


@pytest.mark.parametrize("layout", ["column", "table", "both"])
def test_it_fills_a_schema_and_its_index_exactly(studio_server: StudioServer, layout: Layout) -> None:
    agent = studio_server.create_agent(f"bench-{layout}")
    fill(studio_server.dsn, {agent.schema: layout}, SHAPE)
    runs = sum(len(thread.runs) for thread in SHAPE.threads_made())
    indexed = studio_server.sql("select count(*), sum(runs)::int from memory_thread", schema=agent.schema)
    assert indexed == [(THREADS, runs)]
    assert "the index is exact" in studio_server.manage("thread_index", "check", "--agent", agent.id)


def test_threads_are_counted_once_for_all_layouts(studio_server: StudioServer) -> None:
    agents = {layout: studio_server.create_agent(f"bench-of-{layout}") for layout in ("column", "table")}
    fill(studio_server.dsn, {agent.schema: layout for layout, agent in agents.items()}, SHAPE)  # type: ignore[misc]
    for agent in agents.values():
        assert studio_server.sql("select count(*) from memory_thread", schema=agent.schema) == [(THREADS,)]
        assert "the index is exact" in studio_server.manage("thread_index", "check", "--agent", agent.id)
    for table in ("memory_thread", "memory_participant", "memory_user"):
        many = [studio_server.sql(f"select count(*) from {table}", schema=one.schema)[0][0] for one in agents.values()]
        assert many[0] == many[1] > 0


def test_a_smaller_agent_has_the_newest_threads(studio_server: StudioServer) -> None:
    whole, small = (studio_server.create_agent(f"bench-{name}").schema for name in ("whole", "small"))
    fill(studio_server.dsn, {whole: "both"}, SHAPE)
    copy_newest(studio_server.dsn, whole, small, [SHAPE.session_id(number) for number in range(80)])
    newest = "select session_id, runs from memory_thread order by last_at desc, session_id desc limit 80"
    assert studio_server.sql(newest, schema=small) == studio_server.sql(newest, schema=whole)
    assert studio_server.sql("select count(*) from agno_sessions", schema=small) == [(80,)]
    assert "the index is exact" in studio_server.manage("thread_index", "check", "--agent", "bench-small")


def test_it_fills_up_what_was_deleted_and_leaves_the_triggers_on(studio_server: StudioServer) -> None:
    agent = studio_server.create_agent("bench-again")
    fill(studio_server.dsn, {agent.schema: "table"}, SHAPE)
    oldest = [SHAPE.session_id(number) for number in range(150, THREADS)]
    studio_server.sql("delete from agno_sessions where session_id = any(%s)", oldest, schema=agent.schema)
    assert studio_server.sql("select count(*) from memory_thread", schema=agent.schema) == [(150,)]
    fill(studio_server.dsn, {agent.schema: "table"}, SHAPE, first=150)
    assert studio_server.sql("select count(*) from memory_thread", schema=agent.schema) == [(THREADS,)]
    assert "the index is exact" in studio_server.manage("thread_index", "check", "--agent", agent.id)


def test_each_page_has_a_name_and_each_ratio_something_to_be_divided_by() -> None:
    pages = cases(SHAPE, lambda layout, row: (1, "thread"))
    keys = {page.key for page in pages}
    assert len(keys) == len(pages)
    for page in pages:
        for target in page.targets:
            divisors = {*keys, *(["raw"] if page.raw else []), *(["peer"] if page.peer else []), ""}
            assert target.against in divisors


def test_ways_are_gone_in_turns_and_only_rounds_after_the_warm_up_count() -> None:
    went: list[str] = []
    taken = in_turns({"a": lambda: went.append("a"), "b": lambda: 5.0}, rounds=4, warm_up=2)
    assert went == ["a"] * 6
    assert len(taken["a"].times) == 4
    assert taken["b"].median == 5.0
    assert Taken([1, 2, 3, 4, 100]).median == 3


@pytest.mark.parametrize(
    ("target", "value", "ok", "far"),
    [
        (above("peer", 50), 50, True, False),
        (above("peer", 50), 40, False, False),
        (above("peer", 50), 33, False, True),
        (below("raw", 15), 15, True, False),
        (below("raw", 15), 19, False, False),
        (below("raw", 15), 20.1, False, True),
        (below("newest", 1), 1.09, True, False),
        (below("newest", 1), 1.2, False, False),
        (below("", 1, " ms"), 1.05, False, False),
    ],
)
def test_a_ratio_is_met_missed_or_missed_by_more_than_a_third(
    target: object, value: float, ok: bool, far: bool
) -> None:
    verdict = Verdict("page", value, target)  # type: ignore[arg-type]
    assert (verdict.ok, bool(report.missed([verdict]))) == (ok, far)


def test_ratios_are_of_the_other_contender_or_of_the_other_page() -> None:
    pages = cases(SHAPE, lambda layout, row: (1, "thread"))
    results = [PageResult(page.key, page.title, {"ours": 5.0, "raw": 0.5, "3.1.10": 300.0}) for page in pages]
    results[1].ms["ours"] = 10.0
    judge(results, pages, ["2.5.14", "3.1.10"])
    found = {verdict.what: (verdict.value, verdict.mark) for result in results for verdict in result.verdicts}
    assert found["Threads, newest 50: AgentOS 3.1.10 against it"] == (60.0, "✓")
    assert found["Threads, newest 50: against raw"] == (10.0, "✓")
    giant = next(what for what in found if what.startswith("… with a thread"))
    assert found[giant] == (2.0, "✗")


def test_the_report_is_a_document_with_tables() -> None:
    results = [PageResult("newest", "Newest | 50", {"ours": 4.2, "raw": 0.3, "2.5.14": 300.0}, trips=6, size=12_345)]
    verdicts = [Verdict("Newest", 71.4, above("peer", 50)), Verdict("Tax", 1.5, below("", 1, " ms"))]
    sections = [report.verdicts(verdicts), report.pages(results, ["2.5.14", "3.1.10"]), Section("Empty", [], [])]
    text = report.document("Benchmark", {"date": "today"}, "results.svg", sections)
    assert "| Newest | ≥ 50× | 71× | ✓ |" in text
    assert "| Tax | ≤ 1 ms | 1.5 ms | ✗ |" in text
    assert "| Newest · 50 | 4.2 | 0.3 | 300 | — | 14× | 71× | 6 | 12 |" in text
    assert text.endswith("## Empty\n")


def test_the_chart_is_a_picture_with_every_page_and_every_line() -> None:
    bars = [("Pages <50> & more", {"ours": 4.2, "raw": 0.3, "2.5.14": 300.0}), ("Memory tab", {"ours": 9.0})]
    lines = {"newest 50": [4.0, 4.1, 4.2], "users": [3.0, 3.0, 3.1]}
    root = ElementTree.fromstring(chart.draw(bars, [10_000, 100_000, 1_000_000], lines))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Pages <50> & more" in texts
    assert "1,000,000" in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
    ElementTree.fromstring(chart.draw(bars, [200], {"newest 50": [4.0]}))


def test_round_trips_are_counted_however_the_bytes_arrive() -> None:
    trips: list[int] = []
    answer = b"".join(
        kind + (len(body) + 4).to_bytes(4, "big") + body for kind, body in [(b"D", b"Z" * 9), (b"Z", b"I"), (b"C", b"")]
    )
    for step in (1, 2, 7, 1_000):
        answers = Answers(lambda: trips.append(1))
        for at in range(0, 2 * len(answer), step):
            answers.feed((answer * 2)[at : at + step])
    assert len(trips) == 2 * 4
