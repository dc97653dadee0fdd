"""Access to the API: by key only; a browser's session opens nothing here."""

from django.conf import settings
from django.http import HttpRequest
from ninja.security import APIKeyHeader

from studio.api.problems import NO_KEY, NOTHING_HERE, Problem
from studio.audit import refusals
from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent, ApiKey
from studio.people.access import Access


class ApiRequest(HttpRequest):
    """A request of the API; `auth` is its key."""

    id: str
    auth: ApiKey


class KeyHeader(APIKeyHeader):
    """Finds the key in the header x-api-key, and counts the request towards the key's limit."""

    param_name = "x-api-key"

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey:
        found = keys.authenticate(key or "")
        if found is None:
            if key:
                label, why = keys.why_not(key)
                refusals.refused(refusals.visitor(request), "refusal.key", object=label, why=why)
            raise Problem(401, NO_KEY, WWW_Authenticate="ApiKey")
        limit = settings.API_REQUESTS_PER_MINUTE
        if wait := keys.seconds_to_wait(found, limit):
            raise Problem(429, f"This key may make {limit} requests a minute.", Retry_After=str(wait))
        return found


def access_of(request: ApiRequest) -> Access:
    return keys.access_of(request.auth)


def actor_of(request: ApiRequest) -> Actor:
    """Return the key of this request as the audit log's actor."""
    ip, request_id = request.META.get("REMOTE_ADDR", ""), request.id
    return keys.actor_of(request.auth, ip=ip, request_id=request_id)


def require(request: ApiRequest, scope: str) -> None:
    """Raise 403 unless the key has the scope for all agents."""
    require_anywhere(request, scope)
    if not access_of(request).may(scope):
        raise _not_allowed(request, "This takes a key for all agents.")


def require_anywhere(request: ApiRequest, scope: str) -> None:
    """Raise 403 unless the key has the scope, for whichever agents; they may all have been removed since."""
    if scope not in keys.scopes_of(request.auth):
        raise _not_allowed(request, f"This takes a key with the scope {scope}.")


def get_agent(request: ApiRequest, agent_id: str, scope: str) -> Agent:
    """Return the agent; raise 404 if the key does not reach it, 403 if it does and lacks the scope."""
    access = access_of(request)
    if not access.scopes(agent_id):
        refusals.not_seen(actor_of(request), request.path, agent_id)
        raise Problem(404, NOTHING_HERE)
    agent = Agent.objects.select_related("memory").filter(pk=agent_id).first()
    if agent is None:
        raise Problem(404, NOTHING_HERE)
    if not access.may(scope, agent_id):
        raise _not_allowed(request, f"This takes a key with the scope {scope}.", agent)
    return agent


def _not_allowed(request: ApiRequest, detail: str, agent: Agent | None = None) -> Problem:
    """Return 403, which is in the audit log."""
    refusals.refused(actor_of(request), "refusal.page", object=request.path, agent=agent)
    return Problem(403, detail)


def get_storing_agent(request: ApiRequest, agent_id: str, scope: str) -> Agent:
    """Return an agent that stores threads; raise 501 for other frameworks, 409 while its session storage is off."""
    agent = get_agent(request, agent_id, scope)
    # the sentence is that of xpander-sdk's own error
    if not agent.is_agno:
        raise Problem(501, f"Storage for framework '{agent.framework}' is not supported.")
    if not agent.memory.session_storage:
        raise Problem(409, "session storage is off")
    return agent
