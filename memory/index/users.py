"""Users of the current schema, read from memory_user."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from psycopg import sql

from memory.index import feed
from memory.index.paging import Cursor, Page, beyond, make_page, read_order
from memory.query import LIMIT, Row, count_some, count_table, fetch, is_user, user_key

__all__ = ["COUNT_TO", "DEFAULT_SORT", "SORTS", "Parts", "count_parts", "get_user", "list_users", "user_key"]

SORTS: Final = {"seen": "seen_at", "threads": "threads", "runs": "runs"}
DEFAULT_SORT: Final = "seen"
COUNT_TO: Final = 1_000

_COLUMNS = "memory_id(u.user_id, 4096) as user_id, u.threads, u.runs, u.first_at, u.seen_at"
_LIST = """
    with page as materialized (
        select {columns}, u.user_key from memory_user u where {condition} and {after} order by {order} limit {limit}
    )
    select page.*, total.*, {waits} from page
    left join lateral (select {count}) total on {counted} or (select count(*) from page) = {limit}"""
_USER = """
    select u.user_id, u.threads, u.runs, u.first_at, u.seen_at, {waits} from memory_user u
    where u.user_key = %(user_key)s"""
# Those that a user owns are counted where Agno has them, as a deletion of all takes these.
_PARTS: Final = """
    select (select count(*) from (select from agno_sessions s where {is_theirs} limit %(cap)s + 1) s) as owned,
        case when count(*) <= %(cap)s then count(*) filter (where not p.is_owner) end as joined
    from (select is_owner from memory_participant where user_key = %(user_key)s limit %(cap)s + 1) p"""
# The first term is the expression of the index, which holds 200 characters; the second compares the rest. Words of
# which nothing is left when they are folded are compared as they are.
_PREFIX = """memory_folded(left(u.user_id, 200)) like {prefix} || '%%'
    and case when memory_folded(%(q)s) = '' then starts_with(u.user_id, %(q)s)
        else starts_with(memory_folded(u.user_id), memory_folded(memory_person(%(q)s))) end"""
# a pattern of the folded words without wildcards of their own
_PATTERN = r"regexp_replace(left(memory_folded(%(q)s), 100), '([\\%%_])', '\\\1', 'g')"


@dataclass(frozen=True, slots=True)
class Parts:
    """The numbers of the threads that a user owns, above COUNT_TO one more than that, and of those of others with a
    run of theirs, None for a user with more threads than that.
    """

    owned: int
    joined: int | None


def list_users(q: str = "", sort: str = DEFAULT_SORT, cursor: str = "", limit: int = 50) -> Page:
    """Read one page of users whose id begins with `q`, in any case and with or without accents, and their number.

    Raises ValueError for a cursor that this list did not make.
    """
    sort = sort if sort in SORTS else DEFAULT_SORT
    limit = min(max(limit, 1), LIMIT)
    here = _read(cursor, sort)
    values: dict[str, Any] = {"q": q} if q else {}
    if here:
        values |= {"value": here.value, "key": UUID(here.key)}
    statement = _statement(bool(q), sort, limit + 1, here and here.newer)
    rows, lag = feed.read_fresh(statement, values, one_plan=not q)
    if here and here.newer and len(rows) < limit:
        return list_users(q, sort, "", limit)
    page = make_page(rows, here, limit, f"users:{sort}", lambda row: (row[SORTS[sort]], row["user_key"].hex))
    return replace(page, lag=lag)


def get_user(user_id: str) -> Row | None:
    """Read one user's row, None for a user without threads."""
    statement = sql.SQL(_USER).format(waits=sql.SQL(feed.WAITS))
    rows, _ = feed.read_fresh(statement, {"user_key": user_key(user_id)})
    return rows[0] if rows else None


def count_parts(user_id: str) -> Parts:
    values = {"user_id": user_id, "user_key": user_key(user_id), "cap": COUNT_TO}
    statement = sql.SQL(_PARTS).format(is_theirs=is_user("s.user_id", user_id))
    return Parts(**fetch(statement, values)[0])


@lru_cache(maxsize=256)
def _statement(search: bool, sort: str, limit: int, newer: bool | None) -> str:
    """Write the statement of a page; `newer` is that of its cursor, None without one."""
    condition = sql.SQL(_PREFIX.format(prefix=_PATTERN) if search else "true")
    value, key = sql.Identifier("u", SORTS[sort]), sql.Identifier("u", "user_key")
    statement = sql.SQL(_LIST).format(
        columns=sql.SQL(_COLUMNS),
        waits=sql.SQL(feed.WAITS),
        count=count_some(sql.SQL("memory_user u"), condition) if search else count_table("memory_user"),
        condition=condition,
        after=beyond(newer, value, key),
        order=read_order(newer, value, key),
        counted=sql.Literal(newer is not None),
        limit=sql.Literal(limit),
    )
    return statement.as_string(None)


def _read(token: str, sort: str) -> Cursor | None:
    here = Cursor.read(token, f"users:{sort}")
    if here:
        UUID(here.key)  # raises ValueError
    return here
