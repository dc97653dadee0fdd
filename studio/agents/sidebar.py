"""What every page shows around its own: the agent whose page it is, and the sidebar's agents."""

from typing import Any, Final, NamedTuple, cast

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from psycopg import sql

from studio.formats import initials
from studio.models import Agent, Framework, MemorySettings, User
from studio.people.access import SCOPES

SIDEBAR: Final = 40

_NEIGHBOURS: Final = """
    select a.id, a.name, a.icon, a.framework, m.session_storage
    from studio_agent a left join studio_memorysettings m on m.agent_id = a.id
    where a.id <> %(current)s and (%(seen)s::text[] is null or a.id = any (%(seen)s))
    order by lower(a.name), a.id limit %(limit)s"""
# in one statement, as each wait for Postgres costs more than what it does for these
_AGENT: Final = sql.SQL("""
    select a.*, m.*, (select json_agg(json_build_array(n.id, n.name, n.icon, n.framework, n.session_storage))
                      from ({neighbours}) n) as neighbours
    from studio_agent a left join studio_memorysettings m on m.agent_id = a.id
    where a.id = %(current)s and (%(seen)s::text[] is null or a.id = any (%(seen)s))
""").format(neighbours=sql.SQL(_NEIGHBOURS))


class Neighbour(NamedTuple):
    """An agent as the sidebar names it; `session_storage` is None where it has no settings."""

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
        """Say whether session storage is on: on, off, or not available for this framework."""
        if self.framework != Framework.AGNO:
            return "not available"
        return "on" if self.session_storage else "off"


def neighbours(seen: list[str] | None) -> list[Neighbour]:
    """Read the first agents by name; `seen` are the ids of those that may be seen, None for all of them."""
    with connection.cursor() as cursor:
        cursor.execute(_NEIGHBOURS, {"seen": seen, "current": "", "limit": SIDEBAR})
        return [Neighbour(*row) for row in cursor.fetchall()]


def agent_and_neighbours(seen: list[str] | None, current: str) -> tuple[Agent | None, list[Neighbour]]:
    """Read an agent with its memory settings, if it may be seen, and itself among its neighbours by name."""
    with connection.cursor() as cursor:
        cursor.execute(_AGENT, {"seen": seen, "current": current, "limit": SIDEBAR})
        names = [column.name for column in cursor.description or ()]
        row = cursor.fetchone()
    if row is None:
        return None, []
    agent = _agent(names, row)
    others = [Neighbour(*one) for one in row[-1] or ()]
    return agent, sorted([Neighbour.of(agent), *others], key=lambda one: (one.name.lower(), one.id))


def _agent(names: list[str], row: tuple[Any, ...]) -> Agent:
    """Make the models of a row, as select_related leaves them: one that has no settings does not ask again."""
    own = names.index("agent_id")
    agent = Agent.from_db("default", names[:own], row[:own])
    agent._state.fields_cache["memory"] = None
    if row[own] is not None:
        MemorySettings.from_db("default", names[own:-1], row[own:-1]).agent = agent
    return agent


def frame(request: HttpRequest) -> dict[str, Any]:
    """Add to every page: `agent` if it is one's page, `sidebar` agents, and `may`: what the person may do here.

    `may` maps a scope with `_` for `:` to a bool, e.g. `{% if may.threads_delete %}`; `here` is the name
    of the page's route. The sidebar is lazy, so that a fragment pays nothing for it.
    """
    agent: Agent | None = getattr(request, "agent", None)
    user = getattr(request, "user", None)
    person = cast(User, user) if user is not None and user.is_authenticated else None
    scopes = person.access.scopes(agent.pk if agent else None) if person else frozenset()
    return {
        "agent": agent,
        "sidebar": SimpleLazyObject(lambda: _sidebar(request, person)) if person else [],
        "here": request.resolver_match.url_name if request.resolver_match else "",
        "oidc": settings.OIDC_NAME,
        "may": {scope.replace(":", "_"): scope in scopes for scope in SCOPES},
    }


def _sidebar(request: HttpRequest, person: User) -> list[Neighbour]:
    """The sidebar's agents, which the guard has read already on a page of an agent."""
    known: list[Neighbour] = getattr(request, "sidebar", [])
    return known or neighbours(person.access.agent_ids)
