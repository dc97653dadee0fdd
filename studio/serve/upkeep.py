"""The work that comes round every minute, in a thread of the process that watches over the web."""

import logging
from collections.abc import Callable
from threading import Event, Thread

from django.db import connection

from studio.serve.migrate import one_line

EVERY_SECONDS = 60

log = logging.getLogger(__name__)


def start(stopping: Event, work: Callable[[], object]) -> None:
    """Do the work every minute until stopping is set; an error costs one line and one round."""
    Thread(target=_rounds, args=[stopping, work], name="upkeep", daemon=True).start()


def _rounds(stopping: Event, work: Callable[[], object]) -> None:
    while not stopping.wait(EVERY_SECONDS):
        try:
            work()
        except Exception as error:  # the next round may well succeed
            log.warning("Upkeep failed: %s", one_line(error))
        finally:
            connection.close()
