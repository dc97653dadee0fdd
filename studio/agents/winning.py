"""A person's act wins over locks that the agent's sessions hold: who holds it up is ended."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import Any, Final, cast

from django.db import Error, connection, transaction

from studio.agents import database_role, role_sessions
from studio.audit.record import Actor, record
from studio.models import Agent, DatabaseRole

# seconds for which an agent that is merely busy may hold up a person
BUSY: Final = 0.3
# seconds after which an agent that comes back again and again is shut out until the act is done
ESCALATE: Final = 1.0
LOOK: Final = 0.05

log = logging.getLogger("studio")


@dataclass(slots=True)
class Struggle:
    """The sessions of an agent that were ended because they held up an act, by process id."""

    agent_id: str
    backend: int
    beside: Thread = field(init=False)
    done: Event = field(default_factory=Event)
    pids: set[int] = field(default_factory=set)
    is_shut: bool = False
    is_told: bool = False

    def end(self) -> None:
        self.done.set()
        self.beside.join()

    def data(self) -> dict[str, int]:
        """Return what the act's audit event says of it; nothing if nobody was ended. Writing it is the act's end."""
        self.end()
        self.is_told = True
        return database_role.data_of(self.pids)


@contextmanager
def winning(agent: Agent) -> Iterator[Struggle]:
    """End the agent's sessions whose locks hold up the block for longer than a moment.

    If others of them take their place, the agent is shut out until the block is done.
    """
    connection.ensure_connection()
    struggle = Struggle(agent.pk, cast(Any, connection).connection.info.backend_pid)
    struggle.beside = Thread(target=_watch, args=[struggle], name="winning", daemon=True)
    struggle.beside.start()
    try:
        yield struggle
    except BaseException:
        # the event of an act that failed is not there
        struggle.is_told = False
        raise
    finally:
        struggle.end()
        if struggle.is_shut:
            transaction.on_commit(partial(database_role.admit, struggle.agent_id))
        if struggle.pids and not struggle.is_told:
            transaction.on_commit(partial(_tell, agent, struggle), robust=True)


def _tell(agent: Agent, struggle: Struggle) -> None:
    """Log what an act without an event of its own has ended, such as counting what would be deleted."""
    with transaction.atomic():
        data = {"counts": {"sessions": len(struggle.pids)}}
        record(Actor.system(), "database.end_sessions", agent=agent, object="held up a person", data=data)


def _watch(struggle: Struggle) -> None:
    if struggle.done.wait(BUSY):
        # nearly always: an act that nobody holds up costs a thread, and no connection
        return
    try:
        role = DatabaseRole.objects.filter(agent=struggle.agent_id).first()
        if role is not None:
            _struggle(struggle, role.name)
    except Error as error:
        log.warning("agent %s may hold up a person's act: %s", struggle.agent_id, error)
    finally:
        connection.close()


def _struggle(struggle: Struggle, role: str) -> None:
    until = time.monotonic() + ESCALATE
    while not struggle.done.wait(LOOK):
        is_late = time.monotonic() > until
        # folding waits for a short time, again and again
        ended = role_sessions.end_blockers(role, struggle.backend, LOOK if is_late else BUSY)
        struggle.pids |= ended
        if ended and is_late:
            struggle.is_shut = True
            struggle.pids |= role_sessions.shut_out(role)
