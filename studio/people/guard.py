"""Fetching and authorising in one call, so that no view holds an agent that its user may not see."""

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404

from studio.agents.sidebar import agent_and_neighbours
from studio.audit import refusals
from studio.audit.record import Actor, Standing
from studio.models import Agent, User
from studio.web import AppRequest


def visible_agents(user: User) -> QuerySet[Agent]:
    """Return the agents that the person may see, with their memory settings, by name."""
    # instructions may be 20,000 characters an agent, and no list shows them
    agents = Agent.objects.select_related("memory").defer("instructions", "description")
    ids = user.access.agent_ids
    return agents if ids is None else agents.filter(pk__in=ids)


def get_agent(request: AppRequest, agent_id: str, scope: str = "agents:read") -> Agent:
    """Return the agent; raise Http404 if the person may not see it, PermissionDenied without `scope`.

    The same query reads the sidebar's agents; they are left on the request.
    """
    user = request.user
    _remember(request, scope, agent_id)
    seen = user.access.agent_ids
    agent, neighbours = agent_and_neighbours(seen, agent_id)
    if agent is None:
        if seen is not None:
            refusals.not_seen(actor_of(request), request.path, agent_id)
        raise Http404("no such agent")
    request.agent, request.sidebar = agent, neighbours
    if not user.access.may(scope, agent_id):
        raise PermissionDenied(scope)
    return agent


def get_agno_agent(request: AppRequest, agent_id: str, scope: str = "agents:read") -> Agent:
    """Return the agent as get_agent does; raise Http404 too for a framework whose threads are not stored here."""
    agent = get_agent(request, agent_id, scope)
    if not agent.is_agno:
        raise Http404("no threads")
    return agent


def require(request: AppRequest, scope: str) -> User:
    """Return the person; raise PermissionDenied unless they have `scope` for the whole studio."""
    _remember(request, scope, None)
    if not request.user.access.may(scope):
        raise PermissionDenied(scope)
    return request.user


def may(request: AppRequest, scope: str, agent_id: str) -> bool:
    """Tell whether the person has a scope on an agent; what they are shown by it is asked again when it is logged."""
    if has := request.user.access.may(scope, agent_id):
        _remember(request, scope, agent_id)
    return has


def actor_of(request: AppRequest) -> Actor:
    """Return the person of this request as the audit log's actor, who is asked for the same rights again."""
    needs = frozenset(getattr(request, "needs", ()))
    standing = Standing(request.user.session_epoch, request.session.session_key or "", needs)
    return Actor.person(request.user, _address(request), getattr(request, "id", ""), standing)


def newcomer(request: AppRequest, user: User) -> Actor:
    """Return somebody who is signing in as the actor: their session is being made."""
    return Actor.person(user, _address(request), getattr(request, "id", ""), Standing(user.session_epoch))


def _address(request: AppRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _remember(request: AppRequest, scope: str, agent_id: str | None) -> None:
    request.needs = {*getattr(request, "needs", ()), (scope, agent_id)}
