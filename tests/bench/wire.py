"""Counting round trips to Postgres in a proxy between studio and server, where none can be missed."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

_READY: Final = ord("Z")  # the server ends its answer to each request with ReadyForQuery
_HEADER: Final = 5


class Wire:
    """A TCP proxy to a server; `trips` counts what the server answered since the start."""

    def __init__(self, dsn: str) -> None:
        where = urlsplit(dsn)
        self._server = (where.hostname, where.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        # asked for encryption, a server answers with a single byte, which is no message
        self.dsn = dsn.replace(f":{where.port}/", f":{self._listener.getsockname()[1]}/")
        self.dsn += "?sslmode=disable&gssencmode=disable"
        self.trips = 0
        self._lock = threading.Lock()
        self._start(self._accept)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._start(self._copy, client, server)
                self._start(self._copy, server, client, Answers(self._count))

    def _count(self) -> None:
        with self._lock:
            self.trips += 1

    def _copy(self, source: socket.socket, target: socket.socket, answers: "Answers | None" = None) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                # counted before it is passed on, so that who has the answer finds it counted
                if answers:
                    answers.feed(data)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *values: object) -> None:
        threading.Thread(target=work, args=values, daemon=True).start()


class Answers:
    """Walk the server's messages: a byte that names each, four that say its length, then its body."""

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._head = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            step = min(_HEADER - len(self._head), len(data) - at)
            self._head += data[at : at + step]
            at += step
            if len(self._head) == _HEADER:
                if self._head[0] == _READY:
                    self._ready()
                self._left = int.from_bytes(self._head[1:], "big") - 4
                self._head = b""


@contextmanager
def counted(dsn: str) -> Iterator[Wire]:
    """Yield a proxy whose `dsn` leads to the same database."""
    wire = Wire(dsn)
    try:
        yield wire
    finally:
        wire.close()
