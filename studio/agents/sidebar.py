"""The sidebar's agents."""

from typing import Any, Final, NamedTuple

from psycopg import sql

from studio import rows
from studio.formats import initials
from studio.models import Agent, Framework, MemorySettings
from studio.postgres.backend.base import public_cursor

SIDEBAR: Final = 40

_NEIGHBOURS: Final = """
    select a.id, a.name, a.icon, a.framework, m.session_storage
    from public.studio_agent a left join public.studio_memorysettings m on m.agent_id = a.id
    where a.id <> %(current)s and (%(seen)s::text[] is null or a.id = any (%(seen)s::text[]))
    order by lower(a.name), a.id limit %(limit)s"""
# one statement, because a round trip to Postgres costs more than its work for both
_AGENT: Final = (
    sql.SQL("""
    select {agent}, {memory}, (
        select json_agg(json_build_array(n.id, n.name, n.icon, n.framework, n.session_storage)) from ({neighbours}) n)
    from public.studio_agent a left join public.studio_memorysettings m on m.agent_id = a.id
    where a.id = %(current)s and (%(seen)s::text[] is null or a.id = any (%(seen)s::text[]))""")
    .format(agent=rows.columns(Agent, "a"), memory=rows.columns(MemorySettings, "m"), neighbours=sql.SQL(_NEIGHBOURS))
    .as_string(None)
)


class Neighbour(NamedTuple):
    """An agent in the sidebar; `session_storage` is None if it has no settings."""

    id: str
    name: str
    icon: str
    framework: str
    session_storage: bool | None

    @classmethod
    def of(cls, agent: Agent) -> "Neighbour":
        memory = getattr(agent, "memory", None)
        return cls(agent.id, agent.name, agent.icon, agent.framework, memory and memory.session_storage)

    @property
    def initials(self) -> str:
        return initials(self.icon, self.name)

    @property
    def storage(self) -> str:
        """Session storage in words: on, off, or not available (for this framework)."""
        if self.framework != Framework.AGNO:
            return "not available"
        return "on" if self.session_storage else "off"


def neighbours(seen: list[str] | None) -> list[Neighbour]:
    """Read the first agents by name; `seen` are the ids that the person may see, None for all."""
    with public_cursor() as cursor:
        cursor.execute(_NEIGHBOURS, {"seen": seen, "current": "", "limit": SIDEBAR})
        return [Neighbour(*row) for row in cursor.fetchall()]


def agent_and_neighbours(seen: list[str] | None, current: str) -> tuple[Agent | None, list[Neighbour]]:
    """Read an agent with its memory settings, and the sidebar's agents with it among them.

    `seen` are the ids that the person may see, None for all; (None, []) if the agent is not one of them.
    """
    with public_cursor() as cursor:
        cursor.execute(_AGENT, {"seen": seen, "current": current, "limit": SIDEBAR})
        row = cursor.fetchone()
    if row is None:
        return None, []
    agent = _agent(row)
    others = [Neighbour(*one) for one in row[-1] or ()]
    return agent, sorted([Neighbour.of(agent), *others], key=lambda one: (one.name.lower(), one.id))


def _agent(row: tuple[Any, ...]) -> Agent:
    """Make the models of a row, linked as select_related would do it."""
    own = rows.width(Agent)
    agent = rows.made(Agent, row[:own])
    # as select_related does it: without settings `agent.memory` raises and runs no query
    agent._state.fields_cache["memory"] = None
    if row[own] is not None:
        rows.made(MemorySettings, row[own:-1]).agent = agent
    return agent
