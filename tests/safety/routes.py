"""Every address of the studio: its route, its view, and a path to try it with."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from studio import ids

_PART = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")


@dataclass(frozen=True)
class Route:
    """A route as urls.py writes it, e.g. `agents/<agent:agent_id>/edit/`, and the view that Django calls."""

    route: str
    view: Any
    name: str

    @property
    def is_of_an_agent(self) -> bool:
        return "agent_id>" in self.route

    def path(self, **values: str) -> str:
        """Return a path to the route; values stand in it as they are."""
        return "/" + _PART.sub(lambda part: values[part[1]], self.route)


def routes() -> list[Route]:
    """List all routes, in the order in which Django tries them."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: list[Any], above: str) -> Iterator[Route]:
    for pattern in patterns:
        route = above + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield Route(route, pattern.callback, pattern.name or "")


def sample(agent_id: str = "agt-ada", session_id: str = "s-1", user_id: str = "alice@example.com") -> dict[str, str]:
    """Return a value for each variable part of all routes."""
    return {
        "agent_id": agent_id,
        "session_id": ids.encode(session_id),
        "run_id": ids.encode(f"{session_id}-1"),
        "message_id": ids.encode("m-1"),
        "user_id": ids.encode(user_id),
        "token": "no-such-token",
        "prefix": "abcd1234",
        "mark": "0123456789abcdef",
        "provider_id": "oidc",
        "pk": "999999",
        "version": "1",
    }
