"""Work on files whose disk may hang, such as a network's, done by a thread that nobody waits for without end."""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

SECONDS: Final = 1.0
_PAUSE: Final = 0.005


class TooSlow(OSError):
    """A file was not there in time: its disk hangs, or somebody holds a lock on it."""


def lock(handle: int, how: int, seconds: float) -> None:
    """Take a lock of flock() on an open file; raise TooSlow if somebody holds it for so long."""
    end = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise TooSlow("somebody else holds its lock") from None
            time.sleep(_PAUSE)


class Clerk:
    """A thread of this process that does one piece of work after the other."""

    def __init__(self) -> None:
        self._reset()
        # threads are not copied into a child
        os.register_at_fork(after_in_child=self._reset)

    def do(self, work: Callable[[], T], *, even_late: bool = False, seconds: float = SECONDS) -> T:
        """Return what the work returns; raise TooSlow if it takes longer, and the work may go on `even_late`."""
        self._start()
        done: Future[T] = Future()
        self._work.put((work, done))
        try:
            return done.result(seconds)
        except TimeoutError:
            # of this wait, not of the work
            if done.done():
                raise
            if not even_late:
                done.cancel()
            raise TooSlow("its disk does not answer") from None

    def _reset(self) -> None:
        self._work: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                # a daemon: the end of the process does not wait for a disk
                self._thread = threading.Thread(target=self._serve, name="files", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        while True:
            work, done = self._work.get()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
