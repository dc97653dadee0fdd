"""Routes of agents: what xpander-sdk loads them with, their connection, and making and removing them."""

from typing import Annotated, Any

from django.conf import settings
from django.http import HttpResponse
from ninja import Header, Path, Router, Status

from studio.agents import connection, connection_limits, database_role, listing, memory_settings, provision
from studio.api import auth
from studio.api.auth import ApiRequest
from studio.api.problems import NOTHING_HERE, Problem
from studio.api.schemas import AgentDetail, AgentId, AgentItem, Connection, CreatedAgent, NewAgent, answers
from studio.models import Agent, MemorySettingsVersion
from studio.web import whole_number

router = Router(tags=["Agents"])

Id = Annotated[AgentId, Path(description="id of an agent")]


@router.get("/agents/list", operation_id="list_agents", **answers(200, list[AgentItem], scope="agents:read"))
def list_agents(request: ApiRequest) -> list[dict[str, Any]]:
    """List all agents that the key reaches, by name."""
    auth.require_anywhere(request, "agents:read")
    ids = auth.access_of(request).agent_ids
    agents = Agent.objects.all() if ids is None else Agent.objects.filter(pk__in=ids)
    return [_item(agent) for agent in agents]


@router.get(
    "/metadata/default_llm_extra_headers",
    operation_id="default_llm_extra_headers",
    **answers(200, dict[str, str], scope="agents:read"),
)
def default_llm_extra_headers(request: ApiRequest) -> dict[str, str]:
    """Return the headers that xpander-sdk adds to each call of a model: none. It fails without an answer."""
    auth.require_anywhere(request, "agents:read")
    return {}


@router.get("/agents/{agent:agent_id}", operation_id="get_agent", **answers(200, AgentDetail, scope="agents:read"))
def get_agent(
    request: ApiRequest,
    agent_id: Id,
    x_agent_version: Annotated[
        str | None, Header(alias="x-agent-version", description="a version of the settings; the latest if left out")
    ] = None,
) -> dict[str, Any]:
    """Return an agent with the settings to load it with."""
    agent = auth.get_agent(request, agent_id, "agents:read")
    if x_agent_version is None:
        return _detail(agent, memory_settings.values_of(agent.memory), agent.memory.version)
    version = whole_number(x_agent_version)
    if version is None:
        raise Problem(404, NOTHING_HERE)
    try:
        return _detail(agent, memory_settings.values_at(agent, version), version)
    except MemorySettingsVersion.DoesNotExist:
        raise Problem(404, f"This agent's settings have no version {version}.") from None


@router.get(
    "/agents/{agent:agent_id}/db", operation_id="get_connection", **answers(200, Connection, 501, scope="connect")
)
def get_connection(request: ApiRequest, agent_id: Id) -> dict[str, Any]:
    """Return the DSN of the agent's own database role. Each call is an event in the audit log."""
    agent = auth.get_agent(request, agent_id, "connect")
    if not agent.is_agno:
        raise Problem(501, f"Storage for framework '{agent.framework}' is not supported.")
    try:
        uri = connection.reveal(auth.actor_of(request), agent)
    except database_role.Unavailable as error:
        raise Problem(503, str(error)) from error
    return {
        "id": agent.pk,
        "name": agent.name,
        "organization_id": settings.ORGANIZATION_ID,
        "connection_uri": {"uri": uri},
    }


@router.post("/agents", operation_id="create_agent", **answers(201, CreatedAgent, 409, scope="admin"))
def create_agent(request: ApiRequest, new: NewAgent, response: HttpResponse) -> Any:
    """Make an agent with its schema, tables, database role and default settings."""
    auth.require(request, "admin")
    fields = new.dict(exclude={"id"})
    try:
        agent = provision.create_agent(auth.actor_of(request), agent_id=new.id or "", **fields)
    except provision.Refused as error:
        raise Problem(409, str(error)) from error
    response["Location"] = f"/api/agents/{agent.pk}"
    made = _detail(agent, memory_settings.values_of(agent.memory), agent.memory.version)
    crowded = connection_limits.advice()
    return Status(201, {**made, "warnings": [crowded] if crowded else []})


@router.delete("/agents/{agent:agent_id}", operation_id="remove_agent", **answers(204, None, scope="admin"))
def remove_agent(request: ApiRequest, agent_id: Id) -> Any:
    """Remove an agent with all its threads, for good. The audit log stays."""
    agent = auth.get_agent(request, agent_id, "admin")
    provision.remove_agent(auth.actor_of(request), agent, count=listing.count_contents)
    return Status(204, None)


def _item(agent: Agent) -> dict[str, Any]:
    # the names and shapes are those that xpander-sdk expects
    return {
        "id": agent.pk,
        "name": agent.name,
        "icon": agent.icon,
        "description": agent.description,
        "framework": agent.framework,
        "instructions": {"role": [], "goal": [], "general": agent.instructions},
        "status": agent.status,
        "organization_id": settings.ORGANIZATION_ID,
        "created_at": agent.created_at,
    }


def _detail(agent: Agent, values: dict[str, Any], version: int) -> dict[str, Any]:
    return {
        **_item(agent),
        "unique_name": agent.pk,
        "environment_id": settings.ORGANIZATION_ID,
        "model_provider": agent.model_provider,
        "model_name": agent.model_name,
        "version": version,
        "graph": [],
        "tools": [],
        "agno_settings": values,
    }
