"""Counting and removing threads of the current schema, in both layouts at once."""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from memory.index import feed
from memory.query import Row, fetch

# A new run takes `for key share` on its thread. `for update` conflicts with it, so that nothing is added to a
# locked thread. They are locked in one order, so that two deletions cannot wait for each other.
_LOCK: Final = sql.SQL("""
    select session_id from agno_sessions where session_id = any (%(ids)s) order by session_id for update""")

_MEASURE: Final = sql.SQL("""
    with chosen as materialized (
        select session_id from agno_sessions where session_id = any (%(ids)s)
    ), counted as (
        select coalesce(sum(t.runs), 0)::bigint as runs, coalesce(sum(t.messages), 0)::bigint as messages,
            coalesce(sum(t.text_bytes), 0)::bigint as text_bytes
        from chosen join memory_thread t using (session_id)
    )
    select (select count(*) from chosen) as threads, counted.*,
        (select count(distinct p.user_key) from chosen join memory_participant p using (session_id)) as people,
        (select count(*) from chosen join agno_runs r using (session_id)) as run_rows
    from counted""")

# One statement, because the triggers of both tables run at its end: by then the threads of the runs are gone,
# so that none is noted in the feed, and the foreign key has no rows left to delete. Of the index only the rows of
# the lists go here, and the rest when the feed is folded.
_REMOVE: Final = sql.SQL("""
    with runs as (
        delete from agno_runs where session_id = any (%(ids)s) returning 1
    ), sessions as (
        delete from agno_sessions where session_id = any (%(ids)s) returning 1
    ), indexed as (
        delete from memory_thread where session_id = any (%(ids)s) returning runs, messages, text_bytes
    )
    select (select count(*) from sessions) as threads, coalesce(sum(i.runs), 0)::bigint as runs,
        coalesce(sum(i.messages), 0)::bigint as messages, coalesce(sum(i.text_bytes), 0)::bigint as text_bytes,
        (select count(distinct p.user_key) from memory_participant p where p.session_id = any (%(ids)s)) as people,
        (select count(*) from runs) as run_rows
    from indexed i""")


@dataclass(frozen=True, slots=True)
class Size:
    """What some threads hold, by the thread index; `text_bytes` is the size of their messages as jsonb.

    `threads` is also the number of their rows in agno_sessions, `run_rows` the number in agno_runs.
    """

    threads: int
    runs: int
    messages: int
    people: int
    text_bytes: int
    run_rows: int


def measure(session_ids: list[str]) -> Size:
    """Count what these threads hold; ids of no thread add nothing."""
    feed.catch_up(session_ids)
    return _size(fetch(_MEASURE, {"ids": session_ids})[0])


def lock(session_ids: list[str]) -> list[str]:
    """Lock those of these threads that exist until the transaction ends, and return their ids."""
    return [row["session_id"] for row in fetch(_LOCK, {"ids": session_ids})]


def remove(session_ids: list[str]) -> Size:
    """Delete locked threads from both tables and the index, and return what they held."""
    # a trigger leaves a tombstone for each, so that a run in flight does not bring it back
    feed.catch_up(session_ids)
    return _size(fetch(_REMOVE, {"ids": session_ids})[0])


def _size(row: Row) -> Size:
    return Size(**{name: int(row[name]) for name in Size.__slots__})
