"""Work that is done again and again, in threads of the process that watches the web server."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from django.db import connection

from studio.serve.migrate import one_line

# seconds; what is done less often holds no connection meanwhile
OFTEN: Final = 1

log = logging.getLogger(__name__)


def start(stopping: Event, work: Callable[[], object], every: float) -> None:
    """Start a thread that does the work every so many seconds until `stopping` is set; errors are logged."""
    Thread(target=_rounds, args=[stopping, work, every], name=f"upkeep {work.__name__}", daemon=True).start()


def _rounds(stopping: Event, work: Callable[[], object], every: float) -> None:
    while not stopping.wait(every):
        try:
            work()
        except Exception as error:  # the next round may succeed
            log.warning("Upkeep failed: %s", one_line(error))
            # no request closes this thread's connection, and one that broke would fail in every round
            connection.close()
        if every > OFTEN:
            connection.close()
    connection.close()
