"""The web server's worker: a thread is for whole requests alone. All waiting for clients is done by the poller.

Whoever says nothing, sends half a request, or does not read an answer costs memory that is bounded, and no thread.
"""

import errno
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any, Final, cast

from gunicorn.workers.gthread import ThreadWorker

from studio.serve.incoming import Incoming, Refused
from studio.serve.line import SECONDS, SLOWEST, Connection, Line, Readers
from studio.serve.refusal import refusal, status_of

# Downloads that may wait for their readers, each in a thread beside those that serve.
DOWNLOADS: Final = 6
# Of requests that are not whole yet, in all.
HELD_BYTES: Final = 50_000_000
RECEIVE_BYTES: Final = 262_144
# for a client to take the last answer before its connection is closed
LINGER_SECONDS: Final = 2
LINGER_BYTES: Final = 1_000_000
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Worker(ThreadWorker):
    """A worker that accepts no more than it can serve at once, and refuses bytes that are no request.

    A refusal is plain text with the security headers, and does not repeat what was sent.
    """

    poller: Any
    tpool: ThreadPoolExecutor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cast(Any, super()).__init__(*args, **kwargs)
        # connections of the poller, requests that wait for a thread, and those that have one
        self.waiting: dict[Connection, None] = {}
        self.ready: deque[Connection] = deque()
        self.running = 0
        self.readers = Readers(DOWNLOADS, lambda: self.method_queue.defer(self._dispatch))
        self.held = 0

    def get_thread_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=self.cfg.threads + DOWNLOADS)

    @property
    def is_busy(self) -> bool:
        return bool(self.running - len(self.readers) >= self.cfg.threads)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Leave new connections to other workers while every thread is busy."""
        cast(Any, super()).set_accept_enabled(enabled and not self.is_busy)

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection. Where there are too many, the one that waits longest makes room."""
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            return
        self.nr_conns += 1
        while self.nr_conns >= self.worker_connections and self._make_room():
            pass
        conn = cast(Any, Connection)(self.cfg, Line(accepted, self.readers), client, listener.getsockname())
        self._begin(conn)

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Send what is left of an answer, then wait for the next request or close the connection."""
        self.running -= 1
        keep = not fs.cancelled() and not fs.exception() and fs.result()
        self._answer(conn, keep=bool(keep))
        self._dispatch()
        # kept connections may never leave a thread free
        if self.alive and not self._accepting:
            for listener in self.sockets:
                self.accept(listener)

    def murder_pending(self) -> None:
        """End what has waited for too long."""
        now = time.monotonic()
        for conn in [conn for conn in self.waiting if conn.until <= now]:
            self._resume(conn)
            if conn.incoming.data and not conn.sock.left:
                self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT)
            else:
                self._close(conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        # The rest of a body that nobody read is here. By itself gunicorn would close after 64 KB of it, unannounced.
        return bool(keepalive and conn.parser.finish_body())

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self.waiting:
            if not conn.incoming.data:
                conn.until = min(conn.until, deadline)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        status = status_of(exc)
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("Error handling a request", exc_info=exc)
        else:
            self.log.warning("Refused a request: %s", status.value)
        # the client may have closed the connection
        with suppress(OSError):
            client.sendall(refusal(status))

    def _dispatch(self) -> None:
        """Give whole requests to free threads."""
        while self.ready and not self.is_busy:
            self.running += 1
            cast(Any, self).enqueue_req(self.ready.popleft())
        # off, if that was the last free thread
        self.set_accept_enabled(self._accepting)

    def _begin(self, conn: Connection) -> None:
        """Receive the next request, of which a part may have come with the one before."""
        cast(Any, conn).init()
        conn.sock.setblocking(False)
        now = time.monotonic()
        conn.until = now + self.cfg.keepalive
        conn.incoming = Incoming(now)
        self._receive(conn, conn.parser.unreader.take_buffered())

    def _on_readable(self, conn: Connection, fileobj: object = None) -> None:
        if self._resume(conn):
            self._receive(conn, b"")

    def _receive(self, conn: Connection, piece: bytes) -> None:
        try:
            piece = piece or conn.sock.recv(RECEIVE_BYTES)
            if not piece:
                return self._close(conn)
            self._add(conn, piece)
        except BlockingIOError:
            pass
        except Refused as refused:
            return self._refuse(conn, refused.status)
        except OSError:
            return self._close(conn)
        if conn.incoming.is_whole:
            conn.parser.unreader.unread(bytes(conn.incoming.data))
            conn.incoming = Incoming(time.monotonic())
            self.ready.append(conn)
            return self._dispatch()
        self.held += len(conn.incoming.data)
        self._wait(conn, EVENT_READ, self._on_readable)
        while self.held > HELD_BYTES and self._make_room():
            pass
        return None

    def _add(self, conn: Connection, piece: bytes) -> None:
        incoming = conn.incoming
        if not incoming.data:
            incoming.since = time.monotonic()
        head_was_here = incoming.length is not None
        incoming.add(piece)
        conn.until = incoming.since + incoming.seconds
        if incoming.expects and not head_was_here and not incoming.is_whole:
            conn.sock.sendall(CONTINUE)

    def _refuse(self, conn: Connection, status: HTTPStatus) -> None:
        self.log.warning("Refused a request: %s", status.value)
        conn.incoming = Incoming(time.monotonic())
        with suppress(OSError):
            conn.sock.sendall(refusal(status))
        self._answer(conn, keep=False)

    def _answer(self, conn: Connection, *, keep: bool) -> None:
        conn.until = time.monotonic() + SECONDS + len(conn.sock.left) / SLOWEST
        self._send(conn, keep)

    def _on_writable(self, conn: Connection, fileobj: object, *, keep: bool) -> None:
        if self._resume(conn):
            self._send(conn, keep)

    def _send(self, conn: Connection, keep: bool) -> None:
        try:
            conn.sock.setblocking(False)
            conn.sock.push()
        except OSError:
            return self._close(conn)
        if conn.sock.left:
            return self._wait(conn, EVENT_WRITE, partial(self._on_writable, keep=keep))
        return self._begin(conn) if keep else self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Say that nothing more comes, and wait until the client has closed: else it may lose its answer."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return self._close(conn)
        conn.incoming = Incoming(time.monotonic())
        conn.until = time.monotonic() + LINGER_SECONDS
        return self._wait(conn, EVENT_READ, self._drain)

    def _drain(self, conn: Connection, fileobj: object = None) -> None:
        if not self._resume(conn):
            return None
        try:
            received = len(conn.sock.recv(RECEIVE_BYTES))
        except OSError:
            received = 0
        conn.drained += received
        if not received or conn.drained > LINGER_BYTES:
            return self._close(conn)
        return self._wait(conn, EVENT_READ, self._drain)

    def _wait(self, conn: Connection, event: int, step: Callable[..., None]) -> None:
        self.waiting[conn] = None
        self.poller.register(conn.sock, event, partial(step, conn))

    def _resume(self, conn: Connection) -> bool:
        """Take a connection out of the poller; return False if it is not there any more."""
        if conn not in self.waiting:
            return False
        del self.waiting[conn]
        self.poller.unregister(conn.sock)
        self.held -= len(conn.incoming.data)
        return True

    def _make_room(self) -> bool:
        """Close the connection that waits longest; return False if none waits."""
        if not self.waiting:
            return False
        conn = min(self.waiting, key=lambda conn: conn.incoming.since)
        self._resume(conn)
        self._close(conn)
        return True

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        cast(Any, conn).close()
