"""How long the studio waits for a server that says nothing: frozen, or behind a network that swallows packets.

A server ends a slow statement itself, by its statement_timeout. One that is frozen cannot, so the client waits for
that long and a little more, then closes the connection.
"""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from django.db import connection
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout, _WaitTimeout

T = TypeVar("T")

# what an answer may take on its way after the server has ended a statement
MARGIN: Final = 0.2
# of many statements that are sent together, each of which has a time of its own
TOGETHER: Final = 20.0
RETRY: Final = 0.1
SILENT: Final = "the database does not answer"
_UNITS: Final = {"": 0.001, "us": 0.000001, "ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server has said nothing for `patience` seconds, None for ever."""

    patience: float | None = None
    on_silence: Callable[[], None]

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        patience = self.patience
        if timeout is not None or patience is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, max(patience, TOGETHER) if self._pipeline else patience)
        except _WaitTimeout:
            # nothing more is read from it: what comes later would be taken for the answer to the next statement
            self.pgconn.finish()
            self.on_silence()
            raise ConnectionTimeout(f"{SILENT}: nothing came for {patience:.1f} s") from None


class Silence:
    """Whether a server has stopped answering. While it has, connecting fails at once, and one thread asks on."""

    def __init__(self) -> None:
        self.is_on = False
        self._lock = threading.Lock()

    def begin(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        """Refuse connections until `connect` is answered."""
        with self._lock:
            if self.is_on:
                return
            self.is_on = True
        threading.Thread(target=self._ask, args=[connect], name="ask a silent database", daemon=True).start()

    def _ask(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        try:
            while _is_silent(connect):
                time.sleep(RETRY)
        finally:
            self.is_on = False


# by host and port
silences: Final[defaultdict[tuple[Any, Any], Silence]] = defaultdict(Silence)


def connect(parameters: dict[str, Any]) -> Connection:
    """Connect, or fail at once while the server is known to be silent."""
    silence = silences[parameters.get("host"), parameters.get("port")]
    if silence.is_on:
        raise ConnectionTimeout(SILENT)

    def again() -> Connection:
        return Connection.connect(**parameters)

    try:
        made = again()
    except ConnectionTimeout:
        silence.begin(again)
        raise
    made.on_silence = lambda: silence.begin(again)
    return made


def seconds(limit: str) -> float | None:
    """Return how long a client waits for a statement with this statement_timeout, in Postgres' form; None for ever."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([a-z]*)\s*", limit)
    if not found or found[2] not in _UNITS or not float(found[1]):
        return None
    return float(found[1]) * _UNITS[found[2]] + MARGIN


@contextmanager
def patient(limit: str) -> Iterator[None]:
    """Wait longer for the statements of a block, whose statement_timeout is `limit`."""
    connection.ensure_connection()
    raw: Connection = connection.connection
    before, raw.patience = raw.patience, seconds(limit)
    try:
        yield
    finally:
        raw.patience = before


def _is_silent(connect: Callable[[], psycopg.Connection[Any]]) -> bool:
    try:
        connect().close()
    except ConnectionTimeout:
        return True
    except psycopg.Error:
        # it refuses, so it answers
        return False
    return False
