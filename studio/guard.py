"""Fetch and authorise in one call, so that no view can hold what its user may not see."""

from typing import cast

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from studio.models import Agent, User
from studio.services import frame
from studio.services.audit import Actor

SIDEBAR = 40


def user_of(request: HttpRequest) -> User:
    """The signed-in person; LoginRequiredMiddleware has turned everybody else away."""
    return cast(User, request.user)


def visible_agents(user: User) -> QuerySet[Agent]:
    """Agents that the person may see, with their memory settings, by name."""
    agents = Agent.objects.select_related("memory").defer(*frame.NOT_IN_LISTS)
    ids = user.access.agent_ids
    return agents if ids is None else agents.filter(pk__in=ids)


def sidebar_agents(user: User, current: str = "") -> tuple[Agent | None, list[frame.Neighbour]]:
    """The current agent, if it may be seen, and the sidebar's by name: one query for both."""
    return frame.agents(user.access.agent_ids, current, SIDEBAR)


def get_agent(request: HttpRequest, agent_id: str, scope: str = "agents:read") -> Agent:
    """Return the agent or raise Http404 where it may not be seen, PermissionDenied without `scope`.

    Leaves the sidebar's agents on the request, which come with the same query.
    """
    user = user_of(request)
    agent, neighbours = sidebar_agents(user, agent_id)
    if agent is None:
        raise Http404("no such agent")
    request.agent, request.sidebar = agent, neighbours  # type: ignore[attr-defined]
    if not user.access.may(scope, agent_id):
        raise PermissionDenied(scope)
    return agent


def require(request: HttpRequest, scope: str) -> User:
    """Return the person, or raise PermissionDenied without `scope` for the whole studio."""
    user = user_of(request)
    if not user.access.may(scope):
        raise PermissionDenied(scope)
    return user


def actor_of(request: HttpRequest) -> Actor:
    """Who acts in this request, for the audit log."""
    user = user_of(request)
    return Actor.person(user, ip=request.META.get("REMOTE_ADDR", ""), request_id=getattr(request, "id", ""))
