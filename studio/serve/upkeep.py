"""The work that comes round every minute, in a thread of the process that watches over the web."""

import importlib.util
import logging
from threading import Event, Thread

from django.db import connection

from studio.serve.migrate import one_line

MODULE = "memory.services.upkeep"
EVERY_SECONDS = 60

log = logging.getLogger(__name__)


def start(stopping: Event) -> None:
    """Run upkeep every minute until stopping is set; an error costs one line and one round."""
    if importlib.util.find_spec(MODULE):
        Thread(target=_rounds, args=[stopping], name="upkeep", daemon=True).start()


def _rounds(stopping: Event) -> None:
    while not stopping.wait(EVERY_SECONDS):
        try:
            importlib.import_module(MODULE).run()
        except Exception as error:  # the next round may well succeed
            log.warning("Upkeep failed: %s", one_line(error))
        finally:
            connection.close()
