"""Measure several ways to one page in turns, so that a busy moment of the machine meets all of them."""

import gc
import http.client
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

ROUNDS: Final = 15
WARM_UP: Final = 2
SECONDS: Final = 120
# Of ways that take long, fewer rounds are enough.
LEAST_ROUNDS: Final = 7
ENOUGH_SECONDS: Final = 6

Way = Callable[[], float | None]


@dataclass(frozen=True)
class Taken:
    """Milliseconds of the rounds of one way."""

    times: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def spread(self) -> float:
        """Half of the range that holds the middle half of the rounds."""
        low, _, high = statistics.quantiles(self.times, n=4)
        return (high - low) / 2


def in_turns(ways: dict[str, Way], rounds: int = ROUNDS, warm_up: int = WARM_UP) -> dict[str, Taken]:
    """Go each way once a round, in another order each time; a way may say itself how many ms count.

    Of slow ways there are fewer rounds, so that all of them take some seconds.
    """
    random = Random(len(ways))
    times: dict[str, list[float]] = {name: [] for name in ways}
    gc.collect()
    gc.disable()
    began = time.monotonic()
    try:
        for number in range(warm_up + rounds):
            if number >= warm_up + LEAST_ROUNDS and time.monotonic() - began > ENOUGH_SECONDS:
                break
            for name in random.sample(list(ways), len(ways)):
                start = time.perf_counter()
                own = ways[name]()
                took = (time.perf_counter() - start) * 1000 if own is None else own
                if number >= warm_up:
                    times[name].append(took)
    finally:
        gc.enable()
    return {name: Taken(taken) for name, taken in times.items()}


@dataclass
class Browser:
    """One connection that is kept open, as a browser's is; it asks for gzip and does not unpack it."""

    base: str
    headers: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None

    def __post_init__(self) -> None:
        self.headers = {"Accept": "*/*", "Accept-Encoding": "gzip", **self.headers}

    def get(self, path: str, method: str = "GET") -> "Answer":
        """Ask once and read all of the answer; anything but 2xx raises."""
        start = time.perf_counter()
        try:
            answer = self._ask(method, path)
        except (http.client.RemoteDisconnected, ConnectionError):
            # the server closed a connection that was quiet for some seconds
            self._connection, start = None, time.perf_counter()
            answer = self._ask(method, path)
        body = first = answer.read1(1)
        first_ms = (time.perf_counter() - start) * 1000
        body += answer.read()
        all_ms = (time.perf_counter() - start) * 1000
        if not 200 <= answer.status < 300:
            raise AssertionError(f"{method} {self.base}{path} answered {answer.status}: {body[:300]!r}")
        return Answer(len(body), first_ms if first else all_ms, all_ms, dict(answer.getheaders()))

    def _ask(self, method: str, path: str) -> http.client.HTTPResponse:
        if self._connection is None:
            address = urlsplit(self.base)
            self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=SECONDS)
        self._connection.request(method, path, headers=self.headers)
        return self._connection.getresponse()


@dataclass(frozen=True)
class Answer:
    """How long until the first byte of the page and until its last, in ms, and how many bytes it had."""

    size: int
    first_ms: float
    all_ms: float
    headers: dict[str, str]


@dataclass(frozen=True)
class Query:
    """Bare SQL on one schema, on a connection that keeps its plans."""

    connection: psycopg.Connection[Any]
    schema: str

    def __call__(self, query: str, values: dict[str, Any] | None = None) -> Callable[[], None]:
        def ask() -> None:
            self.connection.execute(query, values).fetchall()

        return ask


def query_on(dsn: str, schema: str) -> Query:
    """Connect for bare queries; close `.connection` at the end."""
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("select set_config('search_path', %s, false)", [f"{schema}, public"])
    return Query(connection, schema)
