"""The context that every page gets: its agent, the sidebar, and the person's rights."""

import time
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.backends.utils import csrf_input
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from studio import disk
from studio.agents.listing import holds_threads
from studio.agents.sidebar import Neighbour, neighbours
from studio.models import Agent, User
from studio.people.access import SCOPES
from studio.policies import KEPT, SWAPPED
from studio.web import is_boosted, name_of


def page_context(request: HttpRequest) -> dict[str, Any]:
    """Return the context of every page.

    `agent` is the agent of the page, or None, and `holds_threads` whether it has any; `sidebar` its agents; `here` the
    name of the page's route. `is_swapped` is whether the page may take the place of another's `main`, and `boosted`
    whether it goes without what is around that; `still_allowed` is the address that says later whether a kept page may
    be shown again, and `made_at` the second of now. `disk_warning` says that the database's disk is nearly full.
    `may` says what the person may do here: it maps scopes, with `_` for `:`, to bools, as in
    `{% if may.threads_delete %}`.
    """
    agent: Agent | None = getattr(request, "agent", None)
    user = getattr(request, "user", None)
    person = cast(User, user) if user is not None and user.is_authenticated else None
    if person and person.lacks_factor:
        # who has to add a second factor first is shown nothing else
        person = None
    scopes = person.access.scopes(agent.pk if agent else None) if person else frozenset()
    return {
        "agent": agent,
        "holds_threads": SimpleLazyObject(lambda: agent is not None and holds_threads(agent)),
        # lazy, because fragments do not show it
        "sidebar": SimpleLazyObject(lambda: _sidebar(request, person)) if person else [],
        "here": name_of(request),
        "boosted": is_boosted(request),
        "is_swapped": name_of(request) in SWAPPED,
        "still_allowed": person and name_of(request) in KEPT and reverse("still-allowed", args=[person.mark]),
        "made_at": int(time.time()),
        "oidc": settings.OIDC_NAME,
        "disk_warning": disk.warning() if person else "",
        # Django's own are made anew for each form of a page
        "csrf_input": SimpleLazyObject(lambda: csrf_input(request)),
        "csrf_token": SimpleLazyObject(lambda: get_token(request)),
        "may": {scope.replace(":", "_"): scope in scopes for scope in SCOPES},
    }


def _sidebar(request: HttpRequest, person: User) -> list[Neighbour]:
    """Return the sidebar's agents; on an agent's page the guard has read them already."""
    known: list[Neighbour] = getattr(request, "sidebar", [])
    return known or neighbours(person.access.agent_ids)
