"""What every page asks of Postgres before its own: its session, its person, and the agents of its sidebar.

As SQL: the ORM takes several times longer to write these three than Postgres to answer them.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeVar

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
# the names come from an index, however many agents there are
_AGENTS: Final = """
    select {agent}, {memory} from studio_agent a left join studio_memorysettings m on m.agent_id = a.id
    where a.id = any(array(
        select n.id from studio_agent n order by lower(n.name), n.id limit %(limit)s + 1
    )) or a.id = %(current)s
    order by a.id = %(current)s desc, lower(a.name), a.id limit %(limit)s + 1"""
_SEEN_AGENTS: Final = """
    select {agent}, {memory} from studio_agent a left join studio_memorysettings m on m.agent_id = a.id
    where a.id = any(%(seen)s)
    order by a.id = %(current)s desc, lower(a.name), a.id limit %(limit)s + 1"""


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


def agents(seen: list[str] | None, current: str, limit: int) -> list[Agent]:
    """Read the current agent, if it may be seen, then the first others by name, with their memory settings.

    `seen` are the ids of agents that may be seen, None for all of them.
    """
    query = _written(_AGENTS if seen is None else _SEEN_AGENTS, agent=Agent, memory=MemorySettings)
    return [_agent(row) for row in _fetch(query, {"seen": seen, "current": current, "limit": limit})]


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
    """Write the columns of models, whose tables are called by the first letters of their names here."""
    columns = {
        name: sql.SQL(", ").join(sql.Identifier(name[0], column) for column in _names(model))
        for name, model in tables.items()
    }
    return sql.SQL(query).format(**columns).as_string(None)
