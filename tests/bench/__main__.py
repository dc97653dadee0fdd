"""Run the benchmark: `make bench`, or `python -m tests.bench --help`."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import (
    browsing,
    chart,
    costs,
    deletes,
    disk,
    earlier,
    fold,
    load,
    lz4,
    many,
    report,
    scale,
    trips,
    where,
    writes,
)
from tests.bench.cases import Case, cases
from tests.bench.compare import compare, verdicts
from tests.bench.machine import facts
from tests.bench.measure import Browser
from tests.bench.place import database
from tests.bench.report import Part, Section
from tests.bench.shape import MEAN_RUNS, MESSAGE_BYTES, Shape
from tests.bench.stage import LAYOUTS, Stage, on_stage, prepare, sizes
from tests.bench.targets import Verdict
from tests.server import serving

HERE = Path(__file__).parent
LIMITS = (HERE / "limits.md").read_text()


def main() -> int:
    """Prepare, measure and write the results; 1 when a missed target has no paragraph in limits.md.

    With CHECK=1 also when a ratio misses by more than a third.
    """
    asked = _arguments()
    # ended from outside, it still ends what it started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _check_disk(asked)
    shape, started = Shape(asked.threads, asked.length), time.monotonic()
    programs = os.environ.get("POSTGRES_BIN", "")
    with database(asked.data, programs) as (home, dsn), serving(dsn, home / "studio", **load.WEB) as server:
        prepare(server, shape, asked.layouts)
        prepared = time.monotonic() - started
        with on_stage(server, home, shape, asked.layouts) as stage:
            found, sections, picture = _measure(asked, stage)
            told = _told(asked, stage, prepared, time.monotonic() - started - prepared)
    written = report.paragraphs(LIMITS)
    parts = [report.verdicts(found), *sections, report.limits(found, written)]
    text = report.document("Benchmark", told, f"{asked.name}.svg", parts)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / f"{asked.name.upper()}.md").write_text(text)
    (asked.out / f"{asked.name}.svg").write_text(picture)
    print(text)
    return _judge(found, written)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    number = int(os.environ.get("BENCH_THREADS", "100000"))
    parser.add_argument("--threads", type=int, default=number, help="threads in one agent (BENCH_THREADS)")
    parser.add_argument("--layout", choices=LAYOUTS, help="where runs are kept, unless both are to be measured")
    parser.add_argument("--length", type=float, default=1.0, help="of texts, e.g. 0.1 where the disk is small")
    parser.add_argument("--against", metavar="COMMIT", help="serve this earlier commit beside, and compare")
    parser.add_argument("--agents", type=int, default=1_000, help="agents in the studio")
    parser.add_argument("--rounds", type=int, default=15, help="times that each page is asked for")
    parser.add_argument("--requests", type=int, default=10_000, help="mixed requests before memory is compared")
    parser.add_argument("--data", type=Path, help="keep the database here, and use it again")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results and their chart go")
    parser.add_argument("--name", default="results", help="of the files there, e.g. results-million")
    asked = parser.parse_args()
    asked.layouts = (asked.layout,) if asked.layout else LAYOUTS
    return asked


def _check_disk(asked: argparse.Namespace) -> None:
    """Say what the run needs, and end before it begins where that is not there."""
    needed = disk.needed(asked.threads, asked.layouts, asked.length) / 1e9
    free = disk.free(asked.data or Path(tempfile.gettempdir())) / 1e9
    print(f"The database will take about {needed:.0f} GB; {free:.0f} GB are free.", flush=True)
    if needed > free and asked.data is None:
        sys.exit("That is too little: take --layout column, or --length 0.1 for texts a tenth as long.")


def _measure(asked: argparse.Namespace, stage: Stage) -> tuple[list[Verdict], list[Section], str]:
    """Measure everything, one after the other; deletions last of what needs the threads."""
    every = cases(stage.shape, stage.place, asked.layouts)
    pages = [case for case in every if case.layout in asked.layouts]
    results = compare(stage, pages, asked.rounds)
    for key, number in trips.count(stage, stage.home, pages).items():
        next(result for result in results if result.key == key).trips = number
    lines = scale.measure(stage, sizes(asked.threads))
    found = [*verdicts(results, _whole(stage)), *scale.verdicts(lines, sizes(asked.threads))]
    sections = [report.pages(results, list(stage.peers)), scale.section(lines, sizes(asked.threads))]
    steps: list[Callable[[], Part]] = [
        lambda: costs.measure(stage, pages),
        lambda: where.measure(stage, pages, asked.rounds),
        lambda: writes.measure(stage),
        lambda: fold.measure(stage),
        lambda: load.measure(stage, _mixed(stage, pages), asked.requests),
        lambda: browsing.measure(stage),
        *([lambda: earlier.measure(stage, asked.against)] if asked.against else []),
        lambda: deletes.measure(stage),
        lambda: many.measure(stage, asked.agents),
        lambda: lz4.measure(stage),
    ]
    for step in steps:
        began = time.monotonic()
        part = step()
        title = part.sections[0].title
        print(f"{title}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        found += part.verdicts
        sections += part.sections
    bars = [(result.title, result.ms) for result in results]
    return found, sections, chart.draw(bars, sizes(asked.threads), lines)


def _told(asked: argparse.Namespace, stage: Stage, prepared: float, measured: float) -> dict[str, str]:
    shape = stage.shape
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "size": f"{asked.threads:,} threads, of {MEAN_RUNS:.1f} runs each; {shape.users:,} users; runs in the"
        f" {' and the '.join(asked.layouts)}; messages of about {MESSAGE_BYTES * asked.length:,.0f} bytes",
        **facts(stage.dsn),
        "time": f"{prepared / 60:.1f} min to fill, {measured / 60:.1f} min to measure",
    }


def _judge(found: list[Verdict], written: dict[str, str]) -> int:
    """Say what is missing in the report, and what is far off."""
    unexplained = report.unexplained(found, written)
    for topic in unexplained:
        print(f"limits.md has no paragraph “{topic}”, whose target is missed.", file=sys.stderr)
    far = report.missed([one for one in found if one.target.unit == "×"])
    for line in far:
        print(f"Missed by more than a third: {line}", file=sys.stderr)
    return 1 if unexplained or (far and os.environ.get("CHECK") == "1") else 0


def _whole(stage: Stage) -> int:
    """Bytes of the list's HTML, before it is compressed."""
    plain = Browser(stage.browser.base, {**stage.browser.headers, "Accept-Encoding": "identity"})
    return plain.get(stage.path(stage.layouts[0], "threads/")).size


def _mixed(stage: Stage, pages: list[Case]) -> list[str]:
    """All pages once; but not the column of a giant, which Postgres alone would be busy with."""
    giant = {case.ours for case in pages if case.key == "giant-column"}
    paths = [stage.path(case.layout, case.ours) for case in pages if case.layout == "table" or case.ours not in giant]
    return list(dict.fromkeys(paths))


if __name__ == "__main__":
    sys.exit(main())
