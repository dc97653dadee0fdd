"""The benchmark's own parts, at a size that takes seconds; what it measures is for `make bench`."""

import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest

from tests.bench import browsing, chart, costs, cpu, disk, earlier, fold, lz4, measure, report, writes
from tests.bench.cases import cases
from tests.bench.compare import judge
from tests.bench.fill import add, copy_newest, fill
from tests.bench.measure import Taken, in_turns
from tests.bench.report import PageResult, Section
from tests.bench.shape import CHUNK, Layout, Shape
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, above, below
from tests.bench.wire import Answers
from tests.server import StudioServer

HERE = Path(__file__).parent
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


def test_all_layouts_have_the_same_threads(studio_server: StudioServer) -> None:
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
    studio_server.fold(agent.schema)
    assert studio_server.sql("select count(*) from memory_thread", schema=agent.schema) == [(150,)]
    fill(studio_server.dsn, {agent.schema: "table"}, SHAPE, first=150)
    assert studio_server.sql("select count(*) from memory_thread", schema=agent.schema) == [(THREADS,)]
    assert "the index is exact" in studio_server.manage("thread_index", "check", "--agent", agent.id)


@pytest.mark.parametrize("layout", ["column", "table"])
def test_one_layout_alone_has_the_lists_and_its_own_giant(layout: Layout) -> None:
    pages = {page.key for page in cases(SHAPE, lambda layout, row: (1, "thread"), (layout,)) if page.layout == layout}
    assert {"newest", "users", "small", f"giant-{layout}"} <= pages
    assert len([key for key in pages if key.startswith("giant-")]) == 1


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


def test_slow_ways_are_gone_less_often_but_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ENOUGH_SECONDS", 0)
    taken = in_turns({"a": lambda: None}, rounds=15)
    assert len(taken["a"].times) == measure.LEAST_ROUNDS


@pytest.mark.parametrize(
    ("target", "value", "ok", "far"),
    [
        (above("A list", "peer", 50), 50, True, False),
        (above("A list", "peer", 50), 40, False, False),
        (above("A list", "peer", 50), 33, False, True),
        (below("A list", "raw", 15), 15, True, False),
        (below("A list", "raw", 15), 19, False, False),
        (below("A list", "raw", 15), 20.1, False, True),
        (below("A list", "newest", 1), 1.09, True, False),
        (below("A list", "newest", 1), 1.2, False, False),
        (below("A list", "", 1, " ms"), 1.05, False, False),
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
    assert found["20 runs of 30, in the table: AgentOS 3.1.10 against it"] == (60.0, "✓")
    assert found["Threads, newest 50: against raw"] == (10.0, "✓")
    giant = next(what for what in found if what.startswith("… with a thread"))
    assert found[giant] == (2.0, "✗")


def test_the_report_is_a_document_with_tables() -> None:
    results = [PageResult("newest", "Newest | 50", {"ours": 4.2, "raw": 0.3, "2.5.14": 300.0}, trips=6, size=12_345)]
    verdicts = [
        Verdict("Newest", 71.4, above("A list", "peer", 50)),
        Verdict("Tax", 1.5, below("A write", "", 1, " ms")),
        Verdict("Users", 9, below("A list", "raw", 10)),
    ]
    sections = [report.verdicts(verdicts), report.pages(results, ["2.5.14", "3.1.10"]), Section("Empty", [], [])]
    text = report.document("Benchmark", {"date": "today"}, "results.svg", sections)
    assert "| A list | Newest | ≥ 50× | 71× | ✓ |\n| A list | Users | ≤ 10× | 9× | ✓ |" in text
    assert "| A write | Tax | ≤ 1 ms | 1.5 ms | ✗ |" in text
    assert "| Newest · 50 | 4.2 | 0.3 | 300 | — | 14× | 71× | 6 | 12 |" in text
    assert text.endswith("## Empty\n")


def test_a_missed_target_is_explained_or_named() -> None:
    found = [
        Verdict("Newest", 71.4, above("A list", "peer", 50)),
        Verdict("Tax", 1.5, below("A write", "", 1, " ms")),
        Verdict("Delete", 3, below("Deleting", "raw", 2)),
    ]
    written = report.paragraphs("**A list.** Once slow.\n\n**A write.** A trigger\nis called.\n\nAnd more.\n")
    assert report.unexplained(found, written) == ["Deleting"]
    said = report.limits(found, written).before
    assert "**A write.** A trigger\nis called.\n\nAnd more." in said
    assert f"**Deleting.** {report.UNWRITTEN}" in said
    # what is met needs no words
    assert "Once slow" not in said


@pytest.mark.parametrize("path", sorted(HERE.glob("RESULTS*.md")), ids=lambda path: path.name)
def test_every_missed_target_of_the_results_has_its_paragraph(path: Path) -> None:
    text = path.read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.endswith("✗ |")]
    assert {topic for topic, *_ in rows} <= report.paragraphs(text).keys()
    assert report.UNWRITTEN not in text


def test_cpu_is_counted_for_a_server_and_for_the_backends_that_serve_it(studio_server: StudioServer) -> None:
    with psycopg.connect(studio_server.dsn, autocommit=True) as connection:
        own = [connection.info.backend_pid]
        # other tests may have left a connection of this process
        assert set(own) <= set(cpu.backends([studio_server.dsn], [os.getpid()]))
        busy = "select count(*) from generate_series(1, 300000)"
        ways = {
            "busy": cpu.Way(lambda: connection.execute(busy), lambda: [os.getpid()]),
            "idle": cpu.Way(lambda: None, lambda: [os.getpid()]),
        }
        found = cpu.in_turns(ways, [studio_server.dsn], blocks=3, block=2)
    assert found["busy"].database > 5 * max(found["idle"].database, 0.1)
    assert found["busy"].whole >= found["busy"].database
    assert cpu.spent([os.getpid()]) > 0
    assert cpu.workers(studio_server.url) != []


def test_cpu_targets_are_against_the_floor_and_against_the_peers() -> None:
    cost = {costs.FLOOR: 1.0, "newest": 5.0, "newest 3.1.10": 30.0, "users": 4.0, "small": 8.0, "small 3.1.10": 4.0}
    verdicts = costs.verdicts({name: cpu.Cpu([value], [0.0]) for name, value in cost.items()})
    assert [(one.value, one.mark) for one in verdicts] == [(5.0, "✓"), (6.0, "✓"), (2.0, "✗")]


def test_what_is_felt_has_bounds_but_not_what_is_typed() -> None:
    verdicts = browsing.verdicts({"threads → users": 290.0, "back": 210.0, "two letters typed → filtered": 900.0})
    assert [(one.what, one.mark) for one in verdicts] == [("Felt: threads → users", "✓"), ("Felt: back", "✗")]


def test_a_part_that_this_machine_cannot_measure_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(lz4.binaries, "installed", lambda user: None)
    for part in (browsing.measure(None), lz4.measure(None)):  # type: ignore[arg-type]
        assert part.verdicts == []
        assert "nothing was measured" in part.sections[0].before


def test_a_tax_is_bounded_in_microseconds_and_from_six_runs_on_in_percent() -> None:
    verdicts = writes.verdicts(
        [
            writes.Tax("2.5.14", "upsert_session", 1, 400, 50),
            writes.Tax("2.5.14", "upsert_session", 6, 1_000, 55),
            writes.Tax("2.5.14", "upsert_session", 500, 70_000, 700),
        ]
    )
    told = [(report.figure(one), one.mark) for one in verdicts]
    assert told == [("50 µs", "✓"), ("55 µs", "✓"), ("5.5 %", "✗"), ("1 %", "✓")]


@pytest.mark.parametrize("layout", ["column", "table"])
def test_one_more_run_is_written_as_agno_leaves_it(studio_server: StudioServer, layout: Layout) -> None:
    agent, giant = studio_server.create_agent(f"bench-turn-{layout}"), SHAPE.session_id(SHAPE.giants[0])
    add(studio_server.dsn, agent.schema, layout, [next(SHAPE.threads_made(SHAPE.giants[0]))])
    studio_server.sql(fold._TURN[layout], giant, schema=agent.schema)
    count = "coalesce(jsonb_array_length(runs), 0) + (select count(*) from agno_runs)::int"
    assert studio_server.sql(f"select {count} from agno_sessions", schema=agent.schema) == [(SHAPE.giant_runs + 1,)]


def test_the_index_follows_a_write_while_nobody_reads(
    studio_server: StudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "WRITES", 3)
    stage = Stage(studio_server, tmp_path, SHAPE, measure.Browser(studio_server.url), {})
    behind = fold._behind(stage)
    assert len(behind) == 3
    assert all(0 < one < 1_000 * fold.PATIENCE_SECONDS for one in behind)


def test_an_earlier_commit_is_served_when_it_says_so() -> None:
    told = json.dumps({"url": "http://127.0.0.1:1", "headers": {"Cookie": "a=b"}, "dsn": "d", "sign_in": "s"})
    with subprocess.Popen(["printf", f"filling ...\n{told}\n"], stdout=subprocess.PIPE, text=True) as process:
        then = earlier._told("9aecdd9", process)
    assert (then.commit, then.browser.base, then.browser.headers["Cookie"]) == ("9aecdd9", "http://127.0.0.1:1", "a=b")
    with (
        subprocess.Popen(["printf", "no\n"], stdout=subprocess.PIPE, text=True) as process,
        pytest.raises(AssertionError, match="9aecdd9 did not start"),
    ):
        earlier._told("9aecdd9", process)


def test_the_disk_that_a_run_needs_grows_with_its_threads_and_texts() -> None:
    small = disk.needed(1_000_000, ("column",), 0.1)
    whole = disk.needed(1_000_000, ("column",), 1.0)
    both = disk.needed(1_000_000, ("column", "table"), 1.0)
    assert 10e9 < small < 30e9 < whole < 60e9 < both
    assert disk.needed(2_000, ("column", "table"), 1.0) < 2e9


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


def test_it_begins_by_itself() -> None:
    """Pytest has set up what a program by itself has not."""
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-m", "tests.bench", "--help"], cwd=HERE.parents[1], env=env, check=True)
