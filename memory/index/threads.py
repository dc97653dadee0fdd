"""Threads of the current schema, read from the thread index; lists never read a transcript."""

import json
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Final
from uuid import UUID

from psycopg import sql

from memory.index import feed, filters
from memory.index.filters import Filter
from memory.index.paging import Cursor, Page, beyond, make_page, read_order
from memory.query import LIMIT, Row, fetch, fetch_ids, long_statements
from studio import ids

__all__ = ["DEFAULT_SORT", "SORTS", "Filter", "get_thread", "list_threads", "matching_ids", "whole_id", "whole_ids"]

SORTS: Final = {"activity": "last_at", "created": "created_at", "runs": "runs", "tokens": "tokens"}
DEFAULT_SORT: Final = "activity"

_COLUMNS = """
    memory_id(t.session_id, 4096) as session_id,
    coalesce({name}, {first_text}, memory_line(t.session_id), '(blank id)') as title, {name} as name,
    left(t.session_type, 40) as session_type, memory_id(t.user_id, 4096) as user_id, t.users as users_count,
    t.users > 1 as shared, t.runs, t.messages, t.tool_calls, t.errors, t.tokens, t.input_tokens, t.output_tokens,
    t.last_status, {last_text} as last_text, t.created_at, t.updated_at, t.last_at,
    case when t.users = 1 and t.user_id is not null then array[memory_id(t.user_id, 4096)]
        when t.users > 0 then array(
            select memory_id(s.user_id, 4096) from memory_participant s where s.session_id = t.session_id
            order by s.is_owner desc, s.first_at, s.user_key limit {people}) else '{{}}' end as users"""

# The count comes after the page, because a first page that holds all rows needs none.
_LIST = """
    with page as materialized (
        select {columns} from {source} where {condition} and {after} order by {order} limit {limit}
    )
    select page.*, total.*, {of_user} as of_user, {waits} from page
    left join lateral (select {count}) total on {counted} or (select count(*) from page) = {limit}"""

# The user's row comes with their threads, which saves their page a statement.
_OF_USER = """(select to_jsonb(u) - 'user_key' || jsonb_build_object('user_id', memory_id(u.user_id, 4096))
    from memory_user u where u.user_key = %(user_key)s)"""

# of what could not be counted yet nobody knows whether it matches
_IDS = """
    select t.session_id from {source} where {condition}
        and not exists (select from memory_backlog b where b.session_id = t.session_id) limit %(limit)s"""

# An index row may remain for a moment after its thread is gone, hence the `exists`.
_THREAD = """
    select {columns}, t.column_runs, t.table_runs, t.reordered, t.has_summary, t.text_bytes, true as indexed,
        {waits}
    from memory_thread t where t.session_id = %(session_id)s
        and exists (select 1 from agno_sessions s where s.session_id = t.session_id)"""

# For a thread whose index row is not written yet: everything that can be found without reading its runs.
_UNINDEXED = """
    select s.session_id, coalesce(n.name, memory_line(s.session_id), '(blank id)') as title, n.name,
        left(s.session_type, 40) as session_type, p.user_id, num_nonnulls(s.user_id) as users_count, false as shared,
        c.column_runs + r.table_runs as runs, 0 as messages, 0 as tool_calls, 0 as errors, 0 as tokens,
        0 as input_tokens, 0 as output_tokens, null as last_status, null as last_text, at.created_at, at.updated_at,
        coalesce(at.updated_at, at.created_at) as last_at, array_remove(array[p.user_id], null) as users,
        c.column_runs, r.table_runs, false as reordered,
        coalesce(jsonb_typeof(memory_json(s.summary::jsonb)) = 'object', false) as has_summary, 0 as text_bytes,
        false as indexed
    from agno_sessions s
    cross join lateral (select case when %(content)s then memory_name(s.session_data::jsonb) end as name) n
    cross join lateral (select memory_id(memory_person(s.user_id), 4096) as user_id) p
    cross join lateral (select coalesce(memory_seconds(s.created_at), memory_seconds(s.updated_at), 0) as created_at,
        memory_seconds(s.updated_at) as updated_at) at
    cross join lateral (select memory_column(s.session_id) #> '{}' as runs offset 0) stored
    cross join lateral (select jsonb_array_length(memory_elements(stored.runs)) as column_runs) c
    cross join lateral (select count(*)::integer as table_runs from agno_runs x where x.session_id = s.session_id) r
    where s.session_id = %(session_id)s"""

# A thread that the index has no row of waits to be counted.
_WHOLE = """
    select session_id from memory_thread where memory_digest(session_id) = any (%(digests)s)
        and (octet_length(session_id) > 4096 or starts_with(session_id, '~.'))
    union
    select session_id from (select session_id from memory_backlog union all select session_id from memory_feed) waiting
    where (octet_length(session_id) > 4096 or starts_with(session_id, '~.'))
        and memory_digest(session_id) = any (%(digests)s)"""


def list_threads(
    filter: Filter, sort: str = DEFAULT_SORT, cursor: str = "", limit: int = 50, content: bool = True
) -> Page:
    """Read one page of threads and their number, in one statement; with `user_id` the user's row too.

    Without `content` there are no names, titles are ids, and the search looks at ids alone. Raises ValueError for a
    cursor that this list did not make.
    """
    sort = sort if sort in SORTS else DEFAULT_SORT
    limit = min(max(limit, 1), LIMIT)
    here = Cursor.read(cursor, f"threads:{sort}")
    terms, values = filters.conditions(filter, content)
    # of a thread that is gone by now only those of an earlier moment follow
    place = {"value": here.value, "key": whole_id(here.key) or ""} if here else {}
    statement = _statement(terms, sort, content, limit + 1, here and here.newer)
    with long_statements() if filter.q else nullcontext():
        # which index is best depends on how many threads a user has, and how often a word or a status occurs
        rows, lag = feed.read_fresh(statement, values | place, one_plan=not terms)
    if here and here.newer and len(rows) < limit:
        # less than a page is newer: the first page shows all of it
        return list_threads(filter, sort, "", limit, content)
    of_user = [row.pop("of_user") for row in rows]
    page = make_page(rows, here, limit, f"threads:{sort}", lambda row: (row[SORTS[sort]], row["session_id"]))
    user = json.loads(of_user[0]) if of_user and of_user[0] else None
    return replace(page, user=user, lag=lag)


def matching_ids(filter: Filter, limit: int, content: bool = True) -> list[str]:
    """Return the ids of up to `limit` threads that match, in no order; raises feed.Behind and TooLong."""
    feed.fold_all()
    terms, values = filters.conditions(filter, content)
    where = filters.where(terms)
    statement = sql.SQL(_IDS).format(source=where.source, condition=where.condition)
    with long_statements():
        return fetch_ids(statement, {"limit": limit, **values}, one_plan=False)


def get_thread(session_id: str, content: bool = True) -> Row | None:
    """Read one thread's index row with up to 20 of its users, None if there is no such thread.

    It may be given by its id or its key. Its columns are those of a list, with the whole id, and
    column_runs, table_runs, reordered, has_summary, text_bytes, and
    `indexed`, which is false if the index has no row yet and only Agno's row could be read. `lag` is the index's.
    """
    whole = whole_id(session_id)
    if whole is None:
        return None
    values = {"session_id": whole, "content": content}
    rows, lag = feed.read_fresh(_thread(content), values)
    rows = rows or fetch(_UNINDEXED, values)
    return rows[0] | {"session_id": whole, "lag": lag} if rows else None


def whole_id(given: str) -> str | None:
    """Return the id of a thread that is given by its id or its key; None for a key of no thread."""
    return next(iter(whole_ids([given])), None)


def whole_ids(given: list[str]) -> list[str]:
    """Return the ids of threads that are given by their ids or keys, without keys of no thread; raises TooLong."""
    found = [id for id in given if not ids.is_key(id)]
    keys = [UUID(id[2:]) for id in given if ids.is_key(id)]
    return found + (fetch_ids(_WHOLE, {"digests": keys}) if keys else [])


def _order_by(sort: str, by_user: bool) -> tuple[sql.Composable, sql.Composable]:
    """Return the value that a list is sorted by, and the key that breaks ties."""
    # A user's threads by activity have an index. In other orders their few rows are sorted: `+ 0` keeps Postgres
    # from walking the index of that order, through the rows of everybody else.
    if by_user and sort == DEFAULT_SORT:
        return sql.SQL("p.last_at"), sql.SQL("p.session_id")
    value = sql.SQL("({} + 0)" if by_user else "{}").format(sql.Identifier("t", SORTS[sort]))
    return value, sql.SQL("t.session_id")


# these are cached, because composing SQL takes time on every page
@lru_cache(maxsize=256)
def _statement(terms: tuple[str, ...], sort: str, content: bool, limit: int, newer: bool | None) -> str:
    """Write the statement of a page; `newer` is that of its cursor, None without one."""
    where = filters.where(terms)
    value, key = _order_by(sort, where.by_user)
    # the limit is a part of it: a plan for any limit would read all rows and sort them
    statement = sql.SQL(_LIST).format(
        columns=_columns(content, 3),
        waits=sql.SQL(feed.WAITS),
        count=where.count,
        source=where.source,
        condition=where.condition,
        after=beyond(newer, value, key),
        order=read_order(newer, value, key),
        counted=sql.Literal(newer is not None),
        of_user=sql.SQL(_OF_USER if where.by_user else "null"),
        limit=sql.Literal(limit),
    )
    return statement.as_string(None)


@lru_cache
def _thread(content: bool) -> str:
    return sql.SQL(_THREAD).format(columns=_columns(content, 20), waits=sql.SQL(feed.WAITS)).as_string(None)


def _columns(content: bool, people: int) -> sql.Composable:
    return sql.SQL(_COLUMNS).format(
        name=sql.SQL("t.name" if content else "null::text"),
        first_text=sql.SQL("t.first_text" if content else "null"),
        last_text=sql.SQL("t.last_text" if content else "null::text"),
        people=sql.Literal(people),
    )
