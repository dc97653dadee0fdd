"""Routes of memory settings: reading them, and changing some without losing somebody else's change."""

import re
from typing import Annotated, Any, Final

from django.http import HttpResponse
from ninja import Header, Router

from memory.api.schemas import Memory, MemoryChange
from studio.agents import memory_settings
from studio.api import auth
from studio.api.agents import Id
from studio.api.auth import ApiRequest
from studio.api.problems import Problem
from studio.api.schemas import answers
from studio.models import MemorySettings

router = Router(tags=["Memory"])

RETRIES: Final = 5
# an entity tag in If-Match, quoted as HTTP demands, or the bare number
_TAG: Final = re.compile(r'(W/)?(?:"([^"]*)"|([0-9]+|\*))', re.ASCII)


@router.get("/agents/{agent:agent_id}/memory", operation_id="get_memory", **answers(200, Memory, scope="agents:read"))
def get_memory(request: ApiRequest, agent_id: Id, response: HttpResponse) -> dict[str, Any]:
    """Return the saved settings. Their version is also in the header ETag."""
    return _saved(auth.get_agent(request, agent_id, "agents:read").memory, response)


@router.patch(
    "/agents/{agent:agent_id}/memory",
    operation_id="change_memory",
    **answers(200, Memory, 412, 501, scope="settings:write"),
)
def change_memory(
    request: ApiRequest,
    agent_id: Id,
    change: MemoryChange,
    response: HttpResponse,
    if_match: Annotated[
        str | None, Header(alias="If-Match", description='only if this is still the version, as "7"')
    ] = None,
) -> dict[str, Any]:
    """Change some of the settings; the others stay. Agents get them when they are next loaded."""
    agent = auth.get_agent(request, agent_id, "settings:write")
    if not agent.is_agno:
        raise Problem(501, f"Memory settings for framework '{agent.framework}' are not supported.")
    values = change.dict(exclude_unset=True)
    saved = agent.memory
    # only some settings are given, so without If-Match they go on top of whatever others have saved
    for _ in range(RETRIES):
        if if_match is not None and not _matches(if_match, saved.version):
            raise Problem(412, f"The settings are at version {saved.version} by now.", ETag=_tag(saved))
        try:
            return _saved(memory_settings.save(auth.actor_of(request), agent, values, saved.version), response)
        except memory_settings.Conflict as conflict:
            saved = conflict.current
    raise Problem(503, "Others kept saving at the same moment. Try again.")


def _matches(header: str, version: int) -> bool:
    """Tell whether If-Match names the version."""
    # HTTP asks for a strong comparison here, which a weak tag never passes
    tags = [(weak, quoted or bare) for weak, quoted, bare in _TAG.findall(header)]
    return any(tag == "*" or (not weak and tag == str(version)) for weak, tag in tags)


def _tag(saved: MemorySettings) -> str:
    return f'"{saved.version}"'


def _saved(saved: MemorySettings, response: HttpResponse) -> dict[str, Any]:
    response["ETag"] = _tag(saved)
    return {"version": saved.version, "updated_at": saved.updated_at, **memory_settings.values_of(saved)}
