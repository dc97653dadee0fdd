"""Run the benchmark: `make bench`, or `python -m tests.bench --help`."""

import argparse
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import chart, compare, deletes, load, many, report, scale, sections, trips, where, writes
from tests.bench.cases import Case, cases
from tests.bench.compare import page_of
from tests.bench.machine import facts
from tests.bench.measure import in_turns
from tests.bench.place import database
from tests.bench.shape import MEAN_RUNS, MESSAGE_BYTES, Shape
from tests.bench.stage import LAYOUTS, Stage, on_stage, peers_of, prepare, sizes
from tests.bench.targets import Verdict, above, below
from tests.server import StudioServer, serving

HERE = Path(__file__).parent
LIMITS = (HERE / "limits.md").read_text().strip()
# two workers of two threads, and the process that starts them and mends
CONNECTIONS = 5
LISTS = ("newest", "giant", "user", "middle", "filter", "users", "users-most")


def main() -> int:
    """Prepare, measure and write RESULTS.md; 1 when CHECK is set and a ratio misses by more than a third."""
    asked = _arguments()
    # ended from outside, it still ends what it started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with database(asked.data) as (home, dsn), serving(dsn, home / "studio", WEB_WORKERS="2") as server:
        prepare(server, Shape(asked.threads, asked.length), asked.layouts)
        prepared = time.monotonic() - started
        text, picture, bad = _measure(asked, server, home, prepared)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "RESULTS.md").write_text(text)
    (asked.out / "results.svg").write_text(picture)
    print(text)
    for line in bad:
        print(f"Missed by more than a third: {line}", file=sys.stderr)
    return 1 if bad and os.environ.get("CHECK") == "1" else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    number = int(os.environ.get("BENCH_THREADS", "100000"))
    parser.add_argument("--threads", type=int, default=number, help="threads in one agent (BENCH_THREADS)")
    parser.add_argument("--layout", choices=LAYOUTS, help="where runs are kept, unless both are to be measured")
    parser.add_argument("--length", type=float, default=1.0, help="of texts, e.g. 0.1 where the disk is small")
    parser.add_argument("--agents", type=int, default=1_000, help="agents in the studio")
    parser.add_argument("--rounds", type=int, default=15, help="times that each page is asked for")
    parser.add_argument("--requests", type=int, default=10_000, help="mixed requests before memory is compared")
    parser.add_argument("--data", type=Path, help="keep the database here, and use it again")
    parser.add_argument("--out", type=Path, default=HERE, help="where RESULTS.md and its chart go")
    asked = parser.parse_args()
    asked.layouts = (asked.layout,) if asked.layout else LAYOUTS
    return asked


def _measure(
    asked: argparse.Namespace, server: StudioServer, home: Path, prepared: float
) -> tuple[str, str, list[str]]:
    shape = Shape(asked.threads, asked.length)
    began = time.monotonic()
    with on_stage(server, home, shape, asked.layouts) as stage:
        pages = [case for case in cases(shape, stage.place) if case.layout in asked.layouts]
        lines = scale.measure(stage, sizes(asked.threads))
        results = compare.compare(stage, pages, asked.rounds)
        counts = trips.count(stage, home, pages)
        for result in results:
            result.trips = counts[result.key]
        taxes = writes.measure(stage)
        rate, asker = load.requests_a_second(stage.browser, stage.path("column", "threads/"))
        opened = load.connections(server.dsn)
        spent = where.measure(stage, pages, asked.rounds)
        floor = in_turns({"health": page_of(stage.browser, "/health")})["health"].median
        before, after = load.growth(stage.browser, _mixed(stage, pages), asked.requests)
        deleted = deletes.measure(stage)
    agents = many.measure(server, home, asked.agents, stage.schema("column"))
    found = [verdict for result in results for verdict in result.verdicts]
    found += [
        Verdict("Requests a second of the list, 16 clients, 2 workers", rate, above("", 400, " /s")),
        Verdict(f"A worker's memory after {asked.requests:,} mixed requests", after / before, below("before", 1)),
        Verdict("Connections of the studio to Postgres after that load", opened, below("", CONNECTIONS, "")),
        *writes.verdicts(taxes),
        *deletes.verdicts(deleted),
        *many.verdicts(agents),
        *_lists_verdicts(results),
    ]
    parts = [
        report.verdicts(found),
        report.pages(results, [peer.version for peer in peers_of(asked.layouts)]),
        sections.tax(taxes),
        sections.delete(deleted),
        sections.load(rate, asker, before, after, asked.requests),
        sections.agents(agents),
        scale.section(lines, sizes(asked.threads)),
        where.section(spent, floor),
    ]
    told = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "size": f"{asked.threads:,} threads, of {MEAN_RUNS:.1f} runs each; {shape.users:,} users; runs in the"
        f" {' and the '.join(asked.layouts)}; messages of about {MESSAGE_BYTES * asked.length:,.0f} bytes",
        **facts(server.dsn),
        "time": f"{prepared / 60:.1f} min to fill, {(time.monotonic() - began) / 60:.1f} min to measure",
    }
    bars = [(result.title, result.ms) for result in results]
    picture = chart.draw(bars, sizes(asked.threads), lines)
    text = report.document("Benchmark", told, "results.svg", [*parts, report.Section("Limits", [], [], LIMITS)])
    return text, picture, report.missed([one for one in found if one.target.unit == "×"])


def _mixed(stage: Stage, pages: list[Case]) -> list[str]:
    """All pages once; but not the column of a giant, which Postgres alone would be busy with."""
    giant = {case.ours for case in pages if case.key == "giant-column"}
    paths = [stage.path(case.layout, case.ours) for case in pages if case.layout == "table" or case.ours not in giant]
    return list(dict.fromkeys(paths))


def _lists_verdicts(results: list[report.PageResult]) -> list[Verdict]:
    """List pages ask Postgres at most six times, and no page is large."""
    lists = [one for one in results if one.key in LISTS]
    trips_most = max(one.trips or 0 for one in lists)
    largest = max(results, key=lambda one: one.size)
    return [
        Verdict("Round trips of a list page", trips_most, below("", 6, "")),
        Verdict(f"Largest page as sent ({largest.title})", largest.size / 1000, below("", 60, " KB")),
    ]


if __name__ == "__main__":
    sys.exit(main())
