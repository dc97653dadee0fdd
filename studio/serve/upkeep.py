"""Work that is done every minute, in a thread of the process that watches the web server."""

import logging
from collections.abc import Callable
from threading import Event, Thread

from django.db import connection

from studio.serve.migrate import one_line

EVERY_SECONDS = 60

log = logging.getLogger(__name__)


def start(stopping: Event, work: Callable[[], object]) -> None:
    """Start a thread that does the work every minute until `stopping` is set; an error is logged in one line."""
    Thread(target=_rounds, args=[stopping, work], name="upkeep", daemon=True).start()


def _rounds(stopping: Event, work: Callable[[], object]) -> None:
    while not stopping.wait(EVERY_SECONDS):
        try:
            work()
        except Exception as error:  # the next round may succeed
            log.warning("Upkeep failed: %s", one_line(error))
        finally:
            # no request closes this thread's connection, and one that broke would fail in every round
            connection.close()
