"""Background work: mending the thread index of every agent."""

import logging

from django.db import Error
from django_tenants.utils import schema_context

from memory.index import repair
from studio.models import Agent

log = logging.getLogger("studio")


def mend_indexes() -> int:
    """Count the dirty threads of each agent again, and return their number.

    An agent that fails is logged and tried again in the next round.
    """
    mended = 0
    for agent_id, schema in Agent.objects.values_list("pk", "schema_name"):
        try:
            with schema_context(schema):
                mended += sum(done.mended for done in repair.mend())
        except Error as error:
            log.warning("thread index of %s not mended: %s", agent_id, str(error).splitlines()[0])
    return mended
