"""Pages about agents: the list, creating, editing and removing one, and its connection."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.forms.models import model_to_dict
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control

from studio.agents import connection, connection_limits, database_role, listing, provision
from studio.agents.forms import AgentForm, NewAgentForm
from studio.agents.provision import Refused
from studio.agents.sidebar import SIDEBAR, Neighbour
from studio.compress import compressed
from studio.people import confirm, guard
from studio.web import (
    SEARCH,
    AppRequest,
    get_only,
    get_or_post,
    is_fragment,
    post_only,
    search_words,
    see_other,
    vary_on_htmx,
    with_query,
)

SIDE = "side-agents"


@get_only
def home(request: AppRequest) -> HttpResponse:
    return redirect("agents")


@get_only
def agent(request: AppRequest, agent_id: str) -> HttpResponse:
    guard.get_agent(request, agent_id)
    return redirect("memory", agent_id)


@compressed
@get_only
@vary_on_htmx
def agents(request: AppRequest) -> HttpResponse:
    """Show a page of the list; the sidebar's search asks here too, and gets names only."""
    q = search_words(request, SEARCH)
    seen = guard.visible_agents(request.user)
    page = listing.page(seen, q=q, cursor=request.GET.get("cursor", ""))
    ctx: dict[str, Any] = {
        "q": q,
        "page": page,
        "older": page.older and with_query(request.path, q=q, cursor=page.older),
        "newer": page.newer and with_query(request.path, q=q, cursor=page.newer),
    }
    name = "studio/agents.html"
    if request.htmx.target == SIDE:
        name, ctx["found"] = "studio/_side_agents.html", [Neighbour.of(a) for a in page.agents[:SIDEBAR]]
    else:
        held = listing.thread_counts(page.agents)
        ctx["rows"] = [(agent, Neighbour.of(agent).storage, held.get(agent.pk)) for agent in page.agents]
        if is_fragment(request):
            name = "studio/_agents.html"
    return render(request, name, ctx)


@compressed
@get_or_post
def agent_new(request: AppRequest) -> HttpResponse:
    guard.require(request, "admin")
    form = NewAgentForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = provision.create_agent(
                guard.actor_of(request), agent_id=form.cleaned_data["agent_id"], **form.values()
            )
        except Refused as error:
            form.add_error("agent_id", str(error))
        else:
            messages.success(request, f"Created {made.name}.")
            _warn_if_crowded(request)
            return see_other("memory", made.pk)
    return render(request, "studio/agent_new.html", {"form": form}, status=422 if form.errors else 200)


@compressed
@get_or_post
def agent_edit(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id, "admin")
    saved = model_to_dict(agent, provision.EDITABLE)
    form = AgentForm(request.POST if request.method == "POST" else None, initial=saved)
    if request.method == "POST" and form.is_valid():
        changed = provision.edit_agent(guard.actor_of(request), agent, **form.values())
        messages.success(request, "Saved." if changed else "Nothing was changed.")
        if "framework" in changed:
            _warn_if_crowded(request)
        return see_other("memory", agent_id)
    return render(request, "studio/agent_edit.html", {"form": form}, status=422 if form.errors else 200)


@compressed
@get_only
def agent_remove(request: AppRequest, agent_id: str) -> HttpResponse:
    """Show what will be lost, and ask for the agent's id as confirmation."""
    agent = guard.get_agent(request, agent_id, "admin")
    return render(request, "studio/agent_remove.html", {"counts": listing.count_contents(agent), "wrong": False})


@post_only
def agent_remove_now(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id, "admin")
    if request.POST.get("confirm", "").strip() != agent_id:
        counts = listing.count_contents(agent)
        return render(request, "studio/agent_remove.html", {"counts": counts, "wrong": True}, status=422)
    confirm.require(request)
    provision.remove_agent(guard.actor_of(request), agent, count=listing.count_contents)
    messages.success(request, f"Removed {agent.name} ({agent_id}) and all it held.")
    return see_other("agents")


@cache_control(no_store=True)
@get_or_post
def agent_connection(request: AppRequest, agent_id: str) -> HttpResponse:
    """Show the agent's DSN without its password; a POST shows the password too, and is audited."""
    agent = guard.get_agno_agent(request, agent_id, "connect")
    ctx: dict[str, Any] = {"limit": settings.AGENT_CONNECTION_LIMIT, "uri": "", "unavailable": ""}
    ctx |= connection.addresses()
    try:
        ctx["role"] = role = database_role.find(agent)
        if request.method == "POST":
            confirm.require(request)
            ctx["uri"] = connection.reveal(guard.actor_of(request), agent)
        ctx["address"] = connection.address(role)
    except database_role.Unavailable as error:
        ctx["unavailable"] = str(error)
    return render(request, "studio/connection.html", ctx)


@get_or_post
def agent_rotate(request: AppRequest, agent_id: str) -> HttpResponse:
    """Ask, and with POST set a new password; the old one stops working at once."""
    agent = guard.get_agno_agent(request, agent_id, "admin")
    if request.method != "POST":
        return render(request, "studio/connection_rotate.html")
    confirm.require(request)
    try:
        database_role.rotate(guard.actor_of(request), agent)
    except database_role.Unavailable as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The password was changed. Agents that hold the old one are cut off.")
    return see_other("connection", agent_id)


def _warn_if_crowded(request: AppRequest) -> None:
    if crowded := connection_limits.advice():
        messages.warning(request, crowded)
