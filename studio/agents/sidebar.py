"""What every page asks of Postgres before its own: its session, its person, and the agents of its sidebar.

As SQL: the ORM takes several times longer to write these three than Postgres to answer them.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import Model
from psycopg import sql

from studio.models import Agent, MemorySettings, User

M = TypeVar("M", bound=Model)
# read where an agent is edited
NOT_IN_LISTS: Final = ("instructions", "description")

_SESSION: Final = "select {session} from django_session s where s.session_key = %s and s.expire_date > %s"
_PERSON: Final = """
    select {person}, array(select array[g.role, g.agent_id] from studio_grant g where g.user_id = p.id)
    from studio_user p where p.id = %s and p.is_active"""
# all of the current agent, then a few words of others; two halves, as Postgres plans a join of them twice as long
_AGENTS: Final = """
    select a.id, a.name, a.icon, a.framework, m.session_storage, {agent}, {memory}
    from studio_agent a left join studio_memorysettings m on m.agent_id = a.id
    where a.id = %(current)s <seen>
    union all (
        select a.id, a.name, a.icon, a.framework,
            (select m.session_storage from studio_memorysettings m where m.agent_id = a.id), {nothing}
        from studio_agent a where a.id <> %(current)s <seen>
        order by lower(a.name), a.id limit %(limit)s)"""
_ALL_AGENTS: Final = _AGENTS.replace("<seen>", "")
_SEEN_AGENTS: Final = _AGENTS.replace("<seen>", "and a.id = any(%(seen)s)")


class Neighbour(NamedTuple):
    """An agent as the sidebar names it; `storage` is None where it has no settings."""

    id: str
    name: str
    icon: str
    framework: str
    storage: bool | None

    @classmethod
    def of(cls, agent: Agent) -> "Neighbour":
        settings = getattr(agent, "memory", None)
        return cls(agent.id, agent.name, agent.icon, agent.framework, settings and settings.session_storage)


def session(key: str, now: datetime) -> Session | None:
    """Read a session that has not expired."""
    rows = _fetch(_written(_SESSION, session=Session), [key, now])
    return _made(Session, rows[0]) if rows else None


def person(user_id: int) -> User | None:
    """Read an active person together with their grants."""
    rows = _fetch(_written(_PERSON, person=User), [user_id])
    if not rows:
        return None
    user = _made(User, rows[0][:-1])
    user.grant_pairs = [(role, agent_id) for role, agent_id in rows[0][-1]]
    return user


def agents(seen: list[str] | None, current: str, limit: int) -> tuple[Agent | None, list[Neighbour]]:
    """Read the current agent with its memory settings, if it may be seen, and with it others by name, up to `limit`.

    `seen` are the ids of agents that may be seen, None for all of them.
    """
    query = _written(_ALL_AGENTS if seen is None else _SEEN_AGENTS, agent=Agent, memory=MemorySettings)
    rows = _fetch(query, {"seen": seen, "current": current, "limit": limit})
    width = len(Neighbour._fields)
    agent = next((_agent(row[width:]) for row in rows if row[0] == current), None)
    neighbours = [Neighbour(*row[:width]) for row in rows]
    return agent, sorted(neighbours, key=lambda one: (one.name.lower(), one.id))


def _agent(row: tuple[Any, ...]) -> Agent:
    width = len(_names(Agent))
    agent = _made(Agent, row[:width])
    # as select_related leaves them: each knows the other, and one that has none does not ask again
    agent._state.fields_cache["memory"] = None
    if row[width] is not None:
        _made(MemorySettings, row[width:]).agent = agent
    return agent


def _fetch(query: str, values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _made(model: type[M], row: tuple[Any, ...]) -> M:
    return model.from_db("default", _names(model), row)


@lru_cache
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if field.attname not in NOT_IN_LISTS]


@lru_cache
def _written(query: str, **tables: type[Model]) -> str:
    """Write the columns of models, whose tables are called by their names' first letters here, or as many nulls."""
    columns = {
        name: sql.SQL(", ").join(sql.Identifier(name[0], column) for column in _names(model))
        for name, model in tables.items()
    }
    nothing = sql.SQL(", ").join([sql.NULL] * sum(len(_names(model)) for model in tables.values()))
    return sql.SQL(query).format(**columns, nothing=nothing).as_string(None)
