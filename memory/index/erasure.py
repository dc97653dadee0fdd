"""The threads that a deletion of all, or of all of a user, means: those that Agno has, whatever the index says."""

from typing import Final

from psycopg import sql

from memory.index.filters import Part
from memory.query import fetch, fetch_ids, is_user, user_key

_EVERY: Final = sql.SQL("select session_id::text from agno_sessions limit %(limit)s")
_COUNT: Final = sql.SQL("select count(*) as threads from (select from agno_sessions limit %(limit)s) s")
_OWNED: Final = "select session_id::text from agno_sessions s where {is_theirs} limit %(limit)s"
# Runs of the table say whose they are. For those of the column the index is asked, and the column itself where the
# index has no row of a thread, or an old one.
_JOINED: Final = """
    with unread as materialized (
        select s.session_id::text from agno_sessions s
        left join memory_thread t using (session_id) left join memory_backlog b using (session_id)
        where t.session_id is null or b.session_id is not null
    ), theirs as (
        select r.session_id::text from agno_runs r where {is_run_theirs}
        union
        select p.session_id from memory_participant p
        where p.user_key = %(user_key)s and not exists (select from unread u where u.session_id = p.session_id)
        union
        select u.session_id from unread u
        cross join lateral jsonb_array_elements(memory_elements(memory_column(u.session_id))) e (stored)
        cross join lateral (select memory_json(stored) ->> 'user_id' as user_id) r where {is_run_theirs}
    )
    select session_id from theirs join agno_sessions s using (session_id) where ({is_theirs}) is not true
    limit %(limit)s"""


def every(limit: int) -> list[str]:
    """Return the ids of up to `limit` threads; raises TooLong, as the next one does."""
    return fetch_ids(_EVERY, {"limit": limit})


def count(limit: int) -> int:
    """Return the number of threads, at most `limit`."""
    return int(fetch(_COUNT, {"limit": limit})[0]["threads"])


def of_user(user_id: str, part: Part, limit: int) -> list[str]:
    """Return the ids of up to `limit` threads that the user owns, took part in without owning them, or both."""
    values = {"user_id": user_id, "user_key": user_key(user_id), "limit": limit}
    owner, speaker = is_user("s.user_id", user_id), is_user("r.user_id", user_id)
    found: list[str] = []
    for name, query in (("owned", _OWNED), ("joined", _JOINED)):
        if part in ("", name):
            statement = sql.SQL(query).format(is_theirs=owner, is_run_theirs=speaker)
            found += fetch_ids(statement, values, one_plan=False)
    return found[:limit]
