"""Round trips to Postgres of each page, counted on the wire."""

from pathlib import Path

from tests.bench.cases import Case
from tests.bench.measure import Browser
from tests.bench.stage import Stage, signed_in
from tests.bench.wire import Wire, counted
from tests.server import serving

REPEATS = 3


def count(stage: Stage, home: Path, cases: list[Case]) -> dict[str, int]:
    """Ask a second studio, whose database is behind a counter, for each page; by the page's key."""
    with (
        counted(stage.dsn) as wire,
        serving(wire.dsn, home / "counted", WEB_WORKERS="1", WEB_THREADS="1") as server,
    ):
        browser = signed_in(server)
        found = {}
        for case in cases:
            path = stage.path(case.layout, case.ours)
            # the least of some, because a connection may have been checked or opened beside it
            found[case.key] = min(_trips(browser, path, wire) for _ in range(REPEATS))
        return found


def _trips(browser: Browser, path: str, wire: Wire) -> int:
    browser.get(path)
    before = wire.trips
    browser.get(path)
    return wire.trips - before
