"""Events to look for."""

from studio.audit.record import Actor, record
from studio.models import Agent
from tests.world import DANA


def read(agent: Agent, actor: Actor = DANA, session_id: str = "s-1") -> int:
    """Somebody read a transcript."""
    return record(actor, "thread.read", agent=agent, object=session_id).pk
