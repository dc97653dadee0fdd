"""The list of agents: a page of them by name, and what each holds, in two statements for any number of agents."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.db import OperationalError, ProgrammingError, connection, transaction
from django.db.models import BigIntegerField, BooleanField, Func, QuerySet, TextField, Value
from django.db.models.functions import Lower
from psycopg import errors, sql

from studio import keyset, token
from studio.agents.provision import lacks_tables
from studio.agents.winning import winning
from studio.folded import has_words
from studio.models import Agent

PAGE: Final = 50
_CURSOR: Final = "agents"
# seconds in which an agent that locks its tables again and again is kept out
PATIENCE: Final = 5
COUNT_TO: Final = 1000  # threads of an agent that are counted; above it the page shows Postgres' estimate

_FIGURES: Final = """
    select {id}, (select last_at from {table} order by last_at desc, session_id desc limit 1),
        (select count(*) from (select 1 from {table} limit {limit}) as seen)"""
_HOLDINGS: Final = """
    select count(*), coalesce(sum(runs), 0)::bigint, coalesce(sum(messages), 0)::bigint,
        (select count(*) from {users})
    from {threads}"""


class Estimate(Func):
    """Rows in an agent's thread index as Postgres last estimated them; null where there is no index."""

    template = """(
        select c.reltuples::bigint from pg_catalog.pg_namespace n
        join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = 'memory_thread'
        where n.nspname = %(expressions)s)"""
    output_field = BigIntegerField()


_ADDED: Final[dict[str, Any]] = {"low": Lower("name"), "estimate": Estimate("schema_name")}


@dataclass(frozen=True, slots=True)
class ThreadCount:
    """The number of an agent's threads and its last activity.

    `how` qualifies the number: "" (exact), "about" or "over". `last_at` is in epoch seconds, None without
    threads.
    """

    threads: int
    how: str
    last_at: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of agents, with the cursors of the pages below (`older`) and above (`newer`), or None."""

    agents: list[Agent]
    older: str | None
    newer: str | None


def page(agents: QuerySet[Agent], *, q: str = "", cursor: str = "", limit: int = PAGE) -> Page:
    """Return a page of `agents` by name; `q` is searched in names and ids.

    An unknown cursor gives the first page. `estimate` is set on each agent: the rows of its thread index
    as Postgres estimates them, -1 if it never has, None if the agent has no schema.
    """
    if q:
        agents = agents.filter(has_words(q, "name", "pk"))
    agents = agents.annotate(**_ADDED)
    name, agent_id, newer = token.unpack_or_none(cursor, _CURSOR, (str,), (str,), (bool,)) or ("", "", False)
    if agent_id:
        agents = agents.filter(_beyond((name, agent_id), "<" if newer else ">"))
    # a newer page is read backwards, from its cursor upwards
    read = list(agents.order_by(*(("-low", "-pk") if newer else ("low", "pk")))[: limit + 1])
    rows, has_older, has_newer = keyset.cut(read, limit, newer=newer, first=not agent_id)
    return Page(
        rows,
        token.pack(_CURSOR, rows[-1].low, rows[-1].pk, False) if rows and has_older else None,
        token.pack(_CURSOR, rows[0].low, rows[0].pk, True) if rows and has_newer else None,
    )


def thread_counts(agents: list[Agent]) -> dict[str, ThreadCount]:
    """Count the threads of agents that `page` returned, by agent id, in one statement.

    Agents without a schema are left out. If one loses its schema meanwhile, the answer is empty.
    """
    known = {agent.pk: agent.estimate for agent in agents if agent.estimate is not None}
    parts = [_branch(agent) for agent in agents if agent.pk in known]
    if not parts:
        return {}
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(" union all ").join(parts))
            rows = cursor.fetchall()
    except ProgrammingError as error:
        if lacks_tables(error):
            return {}
        raise
    return {agent_id: _figures(last_at, count, known[agent_id]) for agent_id, last_at, count in rows}


def holds_threads(agent: Agent) -> bool:
    """Tell whether an agent has threads, as one may that is of another framework than it was."""
    query = sql.SQL("select exists (select from {})").format(sql.Identifier(agent.schema_name, "agno_sessions"))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(query)
            return bool(cursor.fetchone()[0])
    except ProgrammingError as error:
        if lacks_tables(error):
            return False
        raise


def count_contents(agent: Agent) -> dict[str, int] | None:
    """Count what is lost when the agent is removed, after what waits is counted; None if it has no schema."""
    end = time.monotonic() + PATIENCE
    with winning(agent):
        while True:
            try:
                return _contents(agent)
            except OperationalError as error:
                # counting waits for a lock for a short time only
                if not isinstance(error.__cause__, errors.LockNotAvailable) or time.monotonic() > end:
                    raise


def _contents(agent: Agent) -> dict[str, int] | None:
    table = partial(sql.Identifier, agent.schema_name)
    query = sql.SQL(_HOLDINGS).format(threads=table("memory_thread"), users=table("memory_user"))
    try:
        # in a savepoint, so that a missing table does not spoil the caller's transaction
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.SQL("select {}(200, true)").format(table("memory_fold")))
            cursor.execute(query)
            return dict(zip(("threads", "runs", "messages", "users"), cursor.fetchone(), strict=True))
    except ProgrammingError as error:
        if lacks_tables(error):
            return None
        raise


def _branch(agent: Agent) -> sql.Composed:
    table = sql.Identifier(agent.schema_name, "memory_thread")
    return sql.SQL(_FIGURES).format(id=sql.Literal(agent.pk), table=table, limit=sql.Literal(COUNT_TO + 1))


def _figures(last_at: int | None, count: int, estimate: int) -> ThreadCount:
    if count <= COUNT_TO:
        return ThreadCount(count, "", last_at)
    # an estimate may be missing, or older than the rows that were just counted
    return ThreadCount(estimate, "about", last_at) if estimate > COUNT_TO else ThreadCount(COUNT_TO, "over", last_at)


def _beyond(at: tuple[str, str], sign: str) -> Func:
    """Compare (name, id) with a row value."""
    # an index answers it, unlike the ORM's way to say it: a > x or (a = x and b > y)
    here = Func("low", "pk", function="row", output_field=TextField())
    there = Func(*map(Value, at), function="row", output_field=TextField())
    return Func(here, there, template="%(expressions)s", arg_joiner=f" {sign} ", output_field=BooleanField())
