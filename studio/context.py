"""What every page's frame needs; lazy, so that a fragment pays nothing for it."""

from typing import Any

from django.conf import settings
from django.utils.functional import SimpleLazyObject

from studio.people import guard
from studio.people.access import SCOPES
from studio.web import AppRequest


def frame(request: AppRequest) -> dict[str, Any]:
    """`sidebar` agents, the `agent` of the page if any, and `may`: what the person may do here.

    `may` maps a scope with `_` for `:` to a bool, e.g. `{% if may.threads_delete %}`.
    """
    agent = getattr(request, "agent", None)
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"agent": None, "sidebar": [], "may": {}, "oidc": settings.OIDC_NAME}

    def agents() -> Any:
        return getattr(request, "sidebar", None) or guard.sidebar_agents(request.user)[1]

    scopes = request.user.access.scopes(agent.pk if agent else None)
    return {
        "agent": agent,
        "sidebar": SimpleLazyObject(agents),
        "oidc": settings.OIDC_NAME,
        "may": {scope.replace(":", "_"): scope in scopes for scope in SCOPES},
    }
