"""Many requests at once: how many the studio answers a second, and whether its workers grow."""

import re
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final

import psutil
import psycopg

from tests.bench import cpu
from tests.bench.measure import Browser
from tests.bench.report import Part, Section
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, above, below

CLIENTS: Final = 16
SECONDS: Final = 8
SETTLED: Final = 1_000  # requests after which a worker has loaded what it will
WEB: Final = {"WEB_WORKERS": "2", "WEB_THREADS": "2"}
# four threads, two of the upkeep, and that of the start
CONNECTIONS: Final = 7
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_BAD: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")


def measure(stage: Stage, paths: list[str], requests: int) -> Part:
    """Ask for the list by many clients, then for all pages many times."""
    rates = [requests_a_second(stage.browser, stage.path(stage.layouts[0], "threads/")) for _ in range(2)]
    rate, opened = statistics.median(rates), _connections(stage.dsn)
    before, after = _growth(stage.browser, paths, requests)
    mixed = f"{requests:,} mixed requests"
    found = [
        Verdict("Requests a second of the list, 16 clients, 2 × 2", rate, above("Requests a second", "", 400, " /s")),
        Verdict("Connections to Postgres after that load", opened, below("Connections", "", CONNECTIONS, "")),
        Verdict(f"A worker's private memory after {mixed}", after, below("Memory", "", 40, " MB")),
        Verdict(f"A worker's private memory after {mixed}: growth", after / before, below("Memory", "before", 1)),
    ]
    rows = [
        [f"requests a second, 16 clients, by {asker()}", f"{rate:,.0f}"],
        [f"a worker's private memory after {min(SETTLED, requests):,} mixed requests", f"{before:.1f} MB"],
        [f"… after {requests:,}", f"{after:.1f} MB ({100 * (after / before - 1):+.1f} %)"],
    ]
    words = "Two workers of two threads, beside Postgres and the clients on this machine. Private memory is what the"
    words += " system counts as a process's own (`Private` in `smaps_rollup`)."
    return Part(found, [Section("Under load", ["what", "measured"], rows, words)])


def asker() -> str:
    """What asks for pages here."""
    return "wrk" if shutil.which("wrk") else "threads of this benchmark"


def requests_a_second(browser: Browser, path: str, seconds: int = SECONDS) -> float:
    """Ask for one page by 16 clients."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return _own(browser, path, seconds)
    headers = [part for name, value in browser.headers.items() for part in ("-H", f"{name}: {value}")]
    command = [wrk, "-t2", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "20s", *headers, browser.base + path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert _BAD.search(said) is None, said
    rate = _RATE.search(said)
    assert rate is not None, said
    return float(rate[1])


def _own(browser: Browser, path: str, seconds: float) -> float:
    end = time.monotonic() + seconds
    done = count()

    def ask() -> None:
        mine = Browser(browser.base, browser.headers)
        while time.monotonic() < end:
            mine.get(path)
            next(done)

    _together([ask] * CLIENTS)
    return next(done) / seconds


def _connections(dsn: str) -> int:
    """How many connections the studio's own processes have open to Postgres."""
    with psycopg.connect(dsn) as connection:
        query = "select count(*) from pg_stat_activity where application_name = 'agent-studio'"
        return int(connection.execute(query).fetchone()[0])  # type: ignore[index]


def _growth(browser: Browser, paths: list[str], requests: int) -> tuple[float, float]:
    """Ask for all paths in turn by several clients; MB of a worker, mean, after the first 1,000 and at the end."""
    _mixed(browser, paths, min(SETTLED, requests))
    before = _worker_mb(browser.base)
    _mixed(browser, paths, max(requests - SETTLED, 1))
    return before, _worker_mb(browser.base)


def _mixed(browser: Browser, paths: list[str], requests: int) -> None:
    numbers = iter(range(requests))
    lock = threading.Lock()

    def ask() -> None:
        mine = Browser(browser.base, browser.headers)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            mine.get(paths[number % len(paths)])

    _together([ask] * (CLIENTS // 2))


def _together(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _worker_mb(base: str) -> float:
    """Memory that each worker of the studio at this address has to itself, on average."""
    return statistics.mean(psutil.Process(pid).memory_full_info().uss for pid in cpu.workers(base)) / 1e6
