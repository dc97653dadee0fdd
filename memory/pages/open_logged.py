"""What every page with content of a thread begins with: an agent that has threads, and a logged opening."""

from django.http import Http404

from memory.services import reading
from studio.models import Agent
from studio.people import guard
from studio.web import AppRequest


def threads_agent(request: AppRequest, agent_id: str, scope: str) -> Agent:
    """Return the agent or raise as get_agent does, and Http404 for a framework that has no threads."""
    agent = guard.get_agent(request, agent_id, scope)
    if not agent.is_agno:
        raise Http404("no threads")
    return agent


def open_thread(request: AppRequest, agent: Agent, session_id: str, *, part: bool, run_id: str | None = None) -> str:
    """Log that a thread is read and return the ticket for its parts; a part that has one is not logged again."""
    actor = guard.actor_of(request)
    given = request.GET.get("ticket", "")
    if part and reading.is_open(actor, agent, session_id, given):
        return given
    reading.record_reading(actor, agent, session_id, run_id)
    return reading.ticket(actor, agent, session_id)
