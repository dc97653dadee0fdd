"""Scopes, the roles that bundle them, and the access check that pages and the API share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SCOPES: Final = {
    "agents:read": "see agents, their settings and the list of threads, no content",
    "settings:write": "change memory settings",
    "threads:read": "read transcripts and titles",
    "threads:export": "download transcripts",
    "threads:delete": "delete threads for good",
    "connect": "get an agent's database connection",
    "admin": "agents, people, keys and the audit log",
}

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": frozenset({"agents:read"}),
    "support": frozenset({"agents:read", "threads:read"}),
    "operator": frozenset({"agents:read", "settings:write"}),
    "privacy": frozenset({"agents:read", "threads:read", "threads:export", "threads:delete"}),
    "admin": frozenset(SCOPES),
}


def roles_with(scope: str) -> list[str]:
    """Return the roles that include a scope."""
    return [role for role, scopes in ROLES.items() if scope in scopes]


@dataclass(frozen=True, slots=True)
class Access:
    """What one person or key may do: scopes for all agents, and further scopes by agent id."""

    everywhere: frozenset[str]
    on: dict[str, frozenset[str]]

    @classmethod
    def of_grants(cls, grants: Iterable[tuple[str, str | None]]) -> "Access":
        """Build from (role, agent id or None for all agents) pairs."""
        everywhere: frozenset[str] = frozenset()
        on: dict[str, frozenset[str]] = {}
        for role, agent_id in grants:
            # a role that this release does not know gives nothing
            scopes = ROLES.get(role, frozenset())
            if agent_id is None:
                everywhere |= scopes
            else:
                on[agent_id] = on.get(agent_id, frozenset()) | scopes
        return cls(everywhere, on)

    def scopes(self, agent_id: str | None = None) -> frozenset[str]:
        """Return the scopes on one agent, or without an agent those for the whole studio."""
        if agent_id is None:
            return self.everywhere
        return self.everywhere | self.on.get(agent_id, frozenset())

    def may(self, scope: str, agent_id: str | None = None) -> bool:
        return scope in self.scopes(agent_id)

    @property
    def in_words(self) -> str:
        """All of these rights as a text that is the same for the same rights."""
        on = [f"{agent_id} {' '.join(sorted(scopes))}" for agent_id, scopes in sorted(self.on.items())]
        return "\n".join([" ".join(sorted(self.everywhere)), *on])

    @property
    def agent_ids(self) -> list[str] | None:
        """Ids of the agents that may be seen, None for all of them."""
        if "agents:read" in self.everywhere:
            return None
        return [agent_id for agent_id, scopes in self.on.items() if "agents:read" in scopes]
