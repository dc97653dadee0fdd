"""Helpers of all reads in an agent's schema: rows as dicts, counts, and values as the indexes hold them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from hashlib import sha256
from typing import Any, Final, cast
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection
from psycopg import sql
from psycopg.rows import dict_row

from studio import ids
from studio.postgres.backend.patience import patient
from studio.postgres.backend.plans import planned_with_values

Row = dict[str, Any]

# Counting stops one above COUNT_CAP. A table with more than EXACT_UP_TO rows is not counted: the planner's
# estimate is shown.
COUNT_CAP: Final = 1_000
EXACT_UP_TO: Final = 2_000
LIMIT: Final = 200
# of a longer id of a user the beginning counts
LONGEST_ID: Final = 10_000
# a limit of time that is none
UNLIMITED: Final = "0"

# of ids of threads that are fetched at once
MOST_BYTES: Final = 48_000_000
_IDS: Final = """
    select case when sum(octet_length(session_id)) over (rows unbounded preceding) <= {most} then session_id end
        as session_id
    from ({source}) found"""

# A count is a select list of three columns: `matching` rows, the `cap` at which counting stops, and the
# planner's `estimate` for a table that is too large to count.
_COUNT_TABLE = """
    case when c.reltuples <= {cap} then (select count(*) from (select 1 from {table} limit {cap} + 1) n) end
        as matching, {cap} as cap, c.reltuples::bigint as estimate from pg_class c where c.oid = {name}::regclass"""
_COUNT_SOME = """
    (select count(*) from (select 1 from {source} where {condition} limit {cap} + 1) n) as matching, {cap} as cap,
    null::bigint as estimate"""


def current_schema() -> str:
    return cast(str, cast(Any, connection).schema_name)


def fetch(statement: sql.Composable | str, values: dict[str, Any], *, one_plan: bool = True) -> list[Row]:
    """Run one statement in the current schema and return its rows by column name.

    Without `one_plan` it is planned for its values, because no plan is good for all of them.
    """
    with nullcontext() if one_plan else planned_with_values(), connection.cursor() as cursor:
        # Django's wrapper has psycopg's cursor, which makes such rows by itself
        cast(Any, cursor).cursor.row_factory = dict_row
        cursor.execute(statement, values)
        return cast(list[Row], cursor.fetchall())


class TooLong(Exception):
    """Ids of threads have more bytes together than a worker shall hold."""


def fetch_ids(source: sql.Composable | str, values: dict[str, Any], *, one_plan: bool = True) -> list[str]:
    """Fetch the column `session_id` of many rows; raises TooLong."""
    inner = sql.SQL(source) if isinstance(source, str) else source
    statement = sql.SQL(_IDS).format(source=inner, most=sql.Literal(MOST_BYTES))
    found = [row["session_id"] for row in fetch(statement, values, one_plan=one_plan)]
    if None in found:
        raise TooLong
    return found


@contextmanager
def long_statements(limit: str = "") -> Iterator[None]:
    """Let the statements of a block take longer than those of a page, for searches and downloads.

    UNLIMITED is for work that would begin anew, and end at the same place, if it were cut off.
    """
    # for the session, because these reads are in no transaction, where `set local` would do nothing
    limit = limit or settings.LONG_STATEMENT_TIMEOUT
    with connection.cursor() as cursor:
        cursor.execute("select set_config('statement_timeout', %s, false)", [limit])
    try:
        with patient(limit):
            yield
    finally:
        # in a transaction that failed this fails too, but its rollback undoes the setting
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("reset statement_timeout")


def count_table(table: str) -> sql.Composable:
    """Return SQL that counts all rows of a table; for a large one only the estimate is given."""
    return sql.SQL(_COUNT_TABLE).format(
        cap=sql.Literal(EXACT_UP_TO), table=sql.Identifier(table), name=sql.Literal(table)
    )


def count_some(source: sql.Composable, condition: sql.Composable) -> sql.Composable:
    """Return SQL that counts the rows that match, up to one above COUNT_CAP."""
    return sql.SQL(_COUNT_SOME).format(source=source, condition=condition, cap=sql.Literal(COUNT_CAP))


def user_key(user_id: str) -> UUID:
    """Return a user's key in the index, as the SQL functions memory_person and memory_key do."""
    if ids.is_key(user_id):
        return UUID(user_id[2:])
    # a hash, because an id may be too long for an index row
    return UUID(bytes=sha256(user_id[:LONGEST_ID].encode()).digest()[:16])


def is_user(column: str, user_id: str) -> sql.Composable:
    """Return the condition that a column of Agno's, as `s.user_id`, has this user, whose id or key is %(user_id)s."""
    if ids.is_key(user_id):
        condition = "memory_id(memory_person({0}), 4096) = %(user_id)s"
    else:
        # plain, so that an index on the column answers it
        short = len(user_id) < LONGEST_ID
        condition = "{0} = %(user_id)s" if short else "memory_person({0}) = memory_person(%(user_id)s)"
    return sql.SQL(condition).format(sql.Identifier(*column.split(".")))
