"""A client's connection, on which an answer waits for its reader without holding a thread, as far as memory allows."""

import errno
import os
import select
import socket
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from gunicorn.workers.gthread import TConn

from studio.serve.incoming import Incoming

# What a streamed answer may be ahead of its reader.
AHEAD: Final = 1_000_000
# Seconds that a reader may let an answer wait, and the bytes that buy another one.
SECONDS: Final = 10
SLOWEST: Final = 32_768
# A whole request is there before anything is read. If gunicorn ever sees one that goes on, it waits this long.
STRAY_SECONDS: Final = 2


class Readers:
    """The connections of a worker whose streamed answers wait for their readers, each with a thread."""

    def __init__(self, most: int, changed: Callable[[], None]) -> None:
        self.most = most
        self.waiting: list[Line] = []
        self._changed = changed
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, line: "Line") -> None:
        """Let one wait. If that is one too many, the answer that waits longest is cut off."""
        with self._lock:
            self.waiting.append(line)
            if len(self.waiting) > self.most:
                self.waiting[0].cut()
        self._changed()

    def remove(self, line: "Line") -> None:
        with self._lock:
            self.waiting.remove(line)
        self._changed()


class Line(socket.socket):
    """A connection that never blocks: what its reader does not take at once is in `left`."""

    def __init__(self, accepted: socket.socket, readers: Readers) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.readers = readers
        self.left = bytearray()
        self._sent = 0
        self._waited = 0.0
        self.setblocking(False)

    def setblocking(self, flag: bool) -> None:
        self.settimeout(STRAY_SECONDS if flag else 0)

    def send(self, data: Any, flags: int = 0) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send what the reader takes and keep the rest; wait first if much is left of what came before."""
        if len(self.left) > AHEAD:
            self._wait()
        self.left += data
        self.push()

    def push(self) -> None:
        """Send of the rest what the reader takes now."""
        while self.left:
            try:
                # not send(), which waits
                sent = os.write(self.fileno(), self.left)
            except BlockingIOError:
                return
            self._sent += sent
            del self.left[:sent]

    def cut(self) -> None:
        """End the connection from another thread, whatever it waits for."""
        self.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        self.readers.add(self)
        try:
            poll = select.poll()
            poll.register(self, select.POLLOUT)
            while len(self.left) > AHEAD:
                patience = SECONDS + self._sent / SLOWEST - self._waited
                if patience <= 0:
                    raise BrokenPipeError(errno.EPIPE, "the client does not read its answer")
                began = time.monotonic()
                poll.poll(patience * 1000)
                self._waited += time.monotonic() - began
                self.push()
        finally:
            self.readers.remove(self)


class Connection(TConn):
    """A connection with the request that arrives on it; while it waits in the poller, it does so until `until`."""

    cfg: Any
    sock: Line
    parser: Any
    incoming: Incoming
    until: float
    drained = 0
