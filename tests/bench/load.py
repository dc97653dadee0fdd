"""Many requests at once: how many the studio answers a second, and whether its workers grow."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final, TypeVar

import psutil
import psycopg

from tests.bench.measure import Browser

T = TypeVar("T")
CLIENTS: Final = 16
SECONDS: Final = 10
SETTLED: Final = 1_000  # requests after which a worker has loaded what it will
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_BAD: Final = re.compile(r"Non-2xx or 3xx responses: (\d+)")


def requests_a_second(browser: Browser, path: str, seconds: int = SECONDS) -> tuple[float, str]:
    """Ask for one page by 16 clients; also says what asked."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return _own(browser, path, seconds), "threads of this benchmark"
    headers = [part for name, value in browser.headers.items() for part in ("-H", f"{name}: {value}")]
    command = [wrk, "-t2", f"-c{CLIENTS}", f"-d{seconds}s", "--timeout", "20s", *headers, browser.base + path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bad = _BAD.search(said)
    assert bad is None, said
    rate = _RATE.search(said)
    assert rate is not None, said
    return float(rate[1]), "wrk"


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


def connections(dsn: str) -> int:
    """How many connections the studio's own processes have open to Postgres."""
    with psycopg.connect(dsn) as connection:
        query = "select count(*) from pg_stat_activity where application_name = 'agent-studio'"
        return int(connection.execute(query).fetchone()[0])  # type: ignore[index]


def growth(browser: Browser, paths: list[str], requests: int) -> tuple[float, float]:
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
    port = base.rpartition(":")[2]
    web = [one for one in psutil.process_iter() if "gunicorn" in " ".join(_told(one.cmdline, []))]
    web = [one for one in web if _told(one.environ, {}).get("PORT") == port]
    workers = [one for one in web if one.ppid() in {other.pid for other in web}]
    return sum(worker.memory_full_info().uss for worker in workers) / len(workers) / 1e6


def _told(ask: Callable[[], T], otherwise: T) -> T:
    """Ask for something of a process that may be gone, or somebody else's."""
    try:
        return ask()
    except psutil.Error:
        return otherwise
