"""An agent's connection: its database role, what code needs to reach the studio, and a new password."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control

from studio import confirm, guard
from studio.services import connection as service
from studio.services import roles
from studio.web import AppRequest, get_or_post, see_other


@cache_control(no_store=True)
@get_or_post
def connection(request: AppRequest, agent_id: str) -> HttpResponse:
    """Show where the agent writes; a POST shows the password too, which is logged."""
    agent = guard.get_agent(request, agent_id, "connect")
    if not agent.is_agno:
        raise Http404("no database for other frameworks")
    ctx: dict[str, Any] = {"limit": settings.AGENT_CONNECTION_LIMIT, **service.addresses()}
    try:
        ctx["role"] = role = roles.find(agent)
        if request.method == "POST":
            confirm.require(request)
            ctx["uri"] = service.reveal(guard.actor_of(request), agent)
        ctx["address"] = service.address(role)
    except roles.Unavailable as error:
        ctx["unavailable"] = str(error)
    return render(request, "studio/connection.html", ctx)


@get_or_post
def rotate(request: AppRequest, agent_id: str) -> HttpResponse:
    """Ask, then set a new password; the old one stops at once."""
    agent = guard.get_agent(request, agent_id, "admin")
    if not agent.is_agno:
        raise Http404("no database for other frameworks")
    if request.method != "POST":
        return render(request, "studio/connection_rotate.html")
    confirm.require(request)
    try:
        roles.rotate(guard.actor_of(request), agent)
    except roles.Unavailable as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The password was changed. Agents that hold the old one are cut off.")
    return see_other("connection", agent_id)
