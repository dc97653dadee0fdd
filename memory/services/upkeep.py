"""Background work: bringing the thread index of every agent up to date."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Final

from django.db import Error, connection
from django_tenants.utils import schema_context
from psycopg import sql

from memory.index import feed, repair
from memory.query import UNLIMITED, long_statements
from studio.models import Agent

# how long one agent's writes keep the others waiting, and then its backlog, in seconds
TURN: Final = 0.3
# agents that one statement asks
_TOGETHER: Final = 100
_WAITING: Final = """
    select {name} as schema where exists (select from {schema}.memory_feed)
        or exists (select from {schema}.memory_backlog b where b.error = '')
        or (select (m.last_value, m.is_called) <> (c.last_value, c.is_called)
            from {schema}.memory_missed m, {schema}.memory_missed_counted c)"""

log = logging.getLogger("studio")
# what went wrong in the last round
_failures: dict[tuple[str, Callable[[], None]], str] = {}


def fold_feeds() -> None:
    """Count what was written since the last round, and go on with the backlogs, an agent's turn each.

    All threads of an agent go into its backlog if its feed missed a write.
    """
    for schema in _waiting():
        _in_schema(schema, _turn)


def tidy_up() -> None:
    """Try failed threads again, look for what no trigger notices, and empty the feeds' pages."""
    for schema in _schemas():
        _in_schema(schema, _tidy)


def _turn() -> None:
    repair.mark_missed()
    for _ in feed.fold(TURN):
        pass
    # at least one batch in a time of its own, so that an agent that never stops writing does not stop it
    end = time.monotonic() + TURN
    for _ in repair.mend(again=False):
        if time.monotonic() > end:
            return


def _tidy() -> None:
    repair.mark_dropped()
    for _ in repair.mend():
        pass
    with connection.cursor() as cursor:
        # sooner than autovacuum, because every reader looks through these pages
        cursor.execute("vacuum memory_feed")


def _in_schema(schema: str, work: Callable[[], None]) -> None:
    """Do the work in one agent's schema. An error is logged once, and the next round tries again."""
    try:
        with schema_context(schema), long_statements(UNLIMITED):
            work()
        _failures.pop((schema, work), None)
    except Error as error:
        said = str(error).splitlines()[0]
        if _failures.get((schema, work)) != said:
            log.warning("thread index of %s not counted: %s", schema, said)
        _failures[schema, work] = said


def _schemas() -> list[str]:
    return list(Agent.objects.values_list("schema_name", flat=True))


def _waiting() -> Iterator[str]:
    """Return the schemas in which something waits."""
    every = _schemas()
    for schemas in (every[start : start + _TOGETHER] for start in range(0, len(every), _TOGETHER)):
        try:
            yield from _waiting_of(schemas)
        except Error:
            # one of them lacks something or is locked; whoever works in it says what it is
            for one in schemas:
                try:
                    yield from _waiting_of([one])
                except Error:
                    yield one


def _waiting_of(schemas: list[str]) -> list[str]:
    parts = [sql.SQL(_WAITING).format(name=sql.Literal(one), schema=sql.Identifier(one)) for one in schemas]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" union all ").join(parts))
        return [row[0] for row in cursor.fetchall()]
