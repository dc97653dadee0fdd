"""Counting and removing threads of the current schema, in both layouts at once."""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from memory.index import feed
from memory.query import Row, fetch, is_user

# what a question names; of people it is all of them but where they fill pages
MOST_TITLES: Final = 5
MOST_NAMED: Final = 1_000

# A new run takes `for key share` on its thread. `for update` conflicts with it, so that nothing is added to a
# locked thread. They are locked in one order, so that two deletions cannot wait for each other.
_LOCK: Final = sql.SQL("""
    select session_id from agno_sessions where session_id = any (%(ids)s) order by session_id for update""")

_MEASURE: Final = sql.SQL("""
    with chosen as materialized (
        select session_id from agno_sessions where session_id = any (%(ids)s)
    ), counted as (
        select coalesce(sum(t.runs), 0)::bigint as runs, coalesce(sum(t.messages), 0)::bigint as messages,
            coalesce(sum(t.tool_calls), 0)::bigint as tool_calls, coalesce(sum(t.errors), 0)::bigint as errors,
            coalesce(sum(t.text_bytes), 0)::bigint as text_bytes
        from chosen join memory_thread t using (session_id)
    )
    select (select count(*) from chosen) as threads, counted.*,
        (select count(distinct p.user_key) from chosen join memory_participant p using (session_id)) as people,
        (select count(*) from chosen join agno_runs r using (session_id)) as run_rows,
        (select count(*) from chosen left join memory_thread t using (session_id)
            left join memory_backlog b using (session_id)
            where t.session_id is null or b.session_id is not null) as not_indexed
    from counted""")

# The latest threads first. What a thread is called, and whose it is, is also said of one that is not indexed.
_TITLES: Final = """
    with latest as (
        select s.session_id, t.session_id is null as not_indexed, {name} as name, {first_text} as first_text,
            coalesce(t.last_at, memory_seconds(s.updated_at), memory_seconds(s.created_at), 0) as last_at
        from agno_sessions s left join memory_thread t using (session_id) where s.session_id = any (%(ids)s)
        order by last_at desc, s.session_id desc limit %(limit)s
    )
    select coalesce(l.name, l.first_text,
        case when not_indexed and {content} then memory_name(s.session_data::jsonb) end,
        memory_line(session_id), '(blank id)') as title
    from latest l join agno_sessions s using (session_id) order by last_at desc, session_id desc"""
_OWNERS: Final = sql.SQL("""
    select left(user_id, 1000) as user_id, count(*) as threads, count(*) over () as people
    from (select memory_id(memory_person(user_id), 4096) as user_id from agno_sessions
        where session_id = any (%(ids)s)) s
    group by s.user_id order by threads desc, s.user_id limit %(limit)s""")
_GUESTS: Final = sql.SQL("""
    select left(memory_id(min(user_id), 4096), 1000) as user_id, count(*) as threads, count(*) over () as people
    from memory_participant where session_id = any (%(ids)s) and not is_owner
    group by user_key order by threads desc, user_id limit %(limit)s""")

# One statement, because the triggers of both tables run at its end: by then the threads of the runs are gone,
# so that none is noted in the feed, and the foreign key has no rows left to delete. Of the index only the rows of
# the lists go here, and the rest when the feed is folded.
_REMOVE: Final = sql.SQL("""
    with runs as (
        delete from agno_runs where session_id = any (%(ids)s) returning 1
    ), sessions as (
        delete from agno_sessions where session_id = any (%(ids)s) returning 1
    ), indexed as (
        delete from memory_thread where session_id = any (%(ids)s)
        returning runs, messages, tool_calls, errors, text_bytes
    )
    select (select count(*) from sessions) as threads, coalesce(sum(i.runs), 0)::bigint as runs,
        coalesce(sum(i.messages), 0)::bigint as messages, coalesce(sum(i.tool_calls), 0)::bigint as tool_calls,
        coalesce(sum(i.errors), 0)::bigint as errors, coalesce(sum(i.text_bytes), 0)::bigint as text_bytes,
        (select count(distinct p.user_key) from memory_participant p where p.session_id = any (%(ids)s)) as people,
        (select count(*) from runs) as run_rows, (select count(*) from sessions) - count(i) as not_indexed
    from indexed i""")


_OTHERS: Final = """
    select count(*) as others from agno_sessions where session_id = any (%(ids)s) and ({is_theirs}) is not true"""


@dataclass(frozen=True, slots=True)
class Size:
    """What some threads hold, by the thread index; `text_bytes` is the size of their messages as jsonb.

    `threads` is also the number of their rows in agno_sessions, `run_rows` the number in agno_runs. What `not_indexed`
    of the threads hold is not known, or as it was.
    """

    threads: int
    runs: int
    messages: int
    tool_calls: int
    errors: int
    people: int
    text_bytes: int
    run_rows: int
    not_indexed: int


@dataclass(frozen=True, slots=True)
class People:
    """Some people of some threads as (user id, number of threads), those with the most first; `number` is of all."""

    named: list[tuple[str | None, int]]
    number: int


@dataclass(frozen=True, slots=True)
class Description:
    """What some threads are: titles of the latest ones, their owners, and who else has a run in them.

    `others` of the threads are not owned by the user that was named.
    """

    titles: list[str]
    owners: People
    guests: People
    others: int


def describe(session_ids: list[str], user_id: str | None, content: bool) -> Description:
    """Say what these threads are; without `content`, titles are ids."""
    name, first_text = ("t.name", "t.first_text") if content else ("null::text", "null::text")
    titles = sql.SQL(_TITLES).format(name=sql.SQL(name), first_text=sql.SQL(first_text), content=sql.Literal(content))
    rows = fetch(titles, {"ids": session_ids, "limit": MOST_TITLES})
    owners, guests = _people(_OWNERS, session_ids), _people(_GUESTS, session_ids)
    return Description([row["title"] for row in rows], owners, guests, _others(session_ids, user_id))


def _others(session_ids: list[str], user_id: str | None) -> int:
    if user_id is None:
        return 0
    statement = sql.SQL(_OTHERS).format(is_theirs=is_user("user_id", user_id))
    return int(fetch(statement, {"ids": session_ids, "user_id": user_id})[0]["others"])


def _people(statement: sql.Composable, session_ids: list[str]) -> People:
    rows = fetch(statement, {"ids": session_ids, "limit": MOST_NAMED})
    return People([(row["user_id"], row["threads"]) for row in rows], rows[0]["people"] if rows else 0)


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
