"""Counting threads of the current schema whole, and comparing the index with such a count."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from memory.index import feed
from memory.index.batch import Batch

# threads of a transaction, some 50 ms
BATCH: Final = 50

_NEXT: Final = """
    select array_agg(session_id) from (
        select session_id from memory_backlog where error = '' or (%(again)s and at < %(began)s)
        order by last_at desc limit %(limit)s) b"""
_RECOUNT: Final = """
    select memory_recount(array(select row(id, null, true, now())::memory_feed from unnest(%(ids)s::text[]) id))"""
_FAILED: Final = "select count(*) from memory_backlog where session_id = any (%(ids)s) and error <> ''"
_ALL: Final = """
    insert into memory_backlog (session_id, last_at)
    select session_id, max(last_at) from (
        select session_id, coalesce(updated_at, created_at) as last_at from agno_sessions
        union all select session_id, 0 from memory_thread union all select session_id, 0 from memory_participant
        union all select session_id, 0 from memory_run) every
    group by session_id
    on conflict (session_id) do update set error = '', at = clock_timestamp()"""
# one pass over each table: a join could be planned as a loop in a loop where a table was filled a moment ago
_UNINDEXED: Final = """
    insert into memory_backlog (session_id, last_at)
    select session_id, max(last_at) from (
        select session_id, coalesce(updated_at, created_at) as last_at, 1 as stored, 0 as indexed, 0 as users
        from agno_sessions
        union all select session_id, null, 0, 1, users from memory_thread
        union all select session_id, null, 0, 0, -1 from memory_participant) rows
    group by session_id having sum(stored) > 0 and (sum(indexed) = 0 or sum(users) <> 0)
    on conflict do nothing"""
# Agno's clean-up drops the column, which no trigger notices
_DROPPED: Final = """
    insert into memory_backlog (session_id, last_at)
    select session_id, last_at from memory_thread where column_runs > 0 and not exists (
        select from pg_attribute where attrelid = 'agno_sessions'::regclass and attname = 'runs' and not attisdropped)
    on conflict do nothing"""
_MISSED: Final = """
    select 'memory_missed'::regclass::oid as sequence, m.last_value, m.is_called
    from memory_missed m, memory_missed_counted c where (m.last_value, m.is_called) <> (c.last_value, c.is_called)"""
# a transaction that moved the sequence has its lock to the end, even if what it wrote is undone
_MISSING: Final = """
    select exists (select from pg_locks where relation = 'memory_missed'::regclass and mode = 'RowExclusiveLock'
        and database = (select oid from pg_database where datname = current_database()))"""
_COUNTING: Final = "select exists (select from memory_backlog where error = '')"

# by sequence: the missed write for which all threads were put into the backlog
_marked: dict[int, int] = {}


@dataclass(frozen=True, slots=True)
class Mended:
    """The result of one batch, in threads."""

    mended: int
    failed: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of the index that differs from a recount: `kept` is the row, `counted` the right one; None is no row."""

    table: str
    id: str
    kept: dict[str, Any] | None
    counted: dict[str, Any] | None


def backlog() -> int:
    """Return the number of threads that wait to be counted whole, failed ones included."""
    return int(_row("select count(*) from memory_backlog")[0])


def failures() -> list[tuple[str, str]]:
    """Return the threads that could not be counted, up to a hundred, with their errors."""
    with connection.cursor() as cursor:
        cursor.execute("select session_id, error from memory_backlog where error <> '' order by session_id limit 100")
        return list(cursor.fetchall())


def mend(batch: int = BATCH, *, again: bool = True) -> Iterator[Mended]:
    """Count the threads of the backlog, the newest first, a batch in each transaction, and yield the result of each.

    With `again`, those that failed before are tried too, once.
    """
    next_batch, began = Batch(batch), _row("select clock_timestamp()")[0]
    while ids := _row(_NEXT, {"limit": next_batch.size, "again": again, "began": began})[0]:
        # the transaction of long threads is not to be long
        with next_batch.timed(), transaction.atomic():
            _row("select set_config('synchronous_commit', 'off', true)")
            _row(_RECOUNT, {"ids": ids})
            failed = int(_row(_FAILED, {"ids": ids})[0])
        yield Mended(len(ids) - failed, failed)


def mark_all() -> int:
    """Put every thread into the backlog, and every index row without a thread; return their number."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL)
        return int(cursor.rowcount)


def mark_missed() -> None:
    """Put every thread into the backlog if a write could not be noted in the feed.

    At once, and again when all transactions are over that may have missed one: until then it cannot be seen. What is
    missed meanwhile waits until these threads are counted, because else the same ones would be counted again and again.
    """
    if not (missed := _row(_MISSED)):
        return
    sequence, number, is_called = missed
    # after the number was read
    is_open = _row(_MISSING)[0]
    known = _marked.get(sequence)
    if known is not None and (_row(_COUNTING)[0] or (known == number and is_open)):
        return
    mark_all()
    _marked[sequence] = number
    if not is_open:
        values = {"number": number, "is_called": is_called}
        _row("select setval('memory_missed_counted', %(number)s, %(is_called)s)", values)
        del _marked[sequence]


def mark_unindexed() -> None:
    """Put the threads into the backlog that lack rows in the index: their own, or those of their people."""
    with connection.cursor() as cursor:
        cursor.execute(_UNINDEXED)


def mark_dropped() -> None:
    """Put the threads into the backlog that had runs in a column which is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_DROPPED)


def thread_ids(after: str | None, limit: int) -> list[str]:
    """Return the next ids of threads and of index rows, in order."""
    one = """
        (select distinct session_id::text as id from {}
         where %(after)s::text is null or session_id > %(after)s order by id limit %(limit)s)"""
    tables = ("agno_sessions", "memory_thread", "memory_participant", "memory_run")
    query = " union ".join(one.format(table) for table in tables) + " order by id limit %(limit)s"
    return _column(query, {"after": after, "limit": limit})


def user_keys(after: Any, limit: int) -> list[Any]:
    """Return the next user keys of memory_participant and memory_user, in order."""
    one = """
        (select distinct user_key as key from {}
         where %(after)s::uuid is null or user_key > %(after)s order by key limit %(limit)s)"""
    query = " union ".join(one.format(table) for table in ("memory_participant", "memory_user"))
    return _column(query + " order by key limit %(limit)s", {"after": after, "limit": limit})


def recount_users(keys: list[Any]) -> None:
    _row("select memory_recount_users(%(keys)s)", {"keys": keys})


def differences(ids: list[str]) -> list[Difference]:
    """Return the index rows of these threads that differ from a recount; nothing is changed."""
    query = """
        select 'memory_thread', session_id, to_jsonb(t)::text from memory_thread t where session_id = any(%(ids)s)
        union all
        select 'memory_participant', session_id || ' ' || user_key, to_jsonb(p)::text
        from memory_participant p where session_id = any(%(ids)s)
        union all
        select 'memory_run', session_id || ' ' || key, to_jsonb(r)::text
        from memory_run r where session_id = any(%(ids)s)
        """
    return _compare(query, {"ids": ids}, _RECOUNT)


def user_differences(keys: list[Any]) -> list[Difference]:
    query = "select 'memory_user', user_id, to_jsonb(u)::text from memory_user u where user_key = any(%(keys)s)"
    return _compare(query, {"keys": keys}, "select memory_recount_users(%(keys)s)")


def _compare(query: str, params: dict[str, Any], recount: str) -> list[Difference]:
    with transaction.atomic(), connection.cursor() as cursor:
        # what waits is no difference, and nobody else folds until the end
        feed.catch_up(params.get("ids", []))
        cursor.execute("select memory_fold(0, false)")
        if cursor.fetchone() == (None,):
            raise feed.Behind
        cursor.execute(query, params)
        kept = {(table, id): row for table, id, row in cursor.fetchall()}
        cursor.execute(recount, params)
        cursor.execute(query, params)
        counted = {(table, id): row for table, id, row in cursor.fetchall()}
        # the recount was made by the functions that write the index, so it is undone
        transaction.set_rollback(True)
    return [
        Difference(*key, _values(kept.get(key)), _values(counted.get(key)))
        for key in sorted(kept.keys() | counted.keys())
        if kept.get(key) != counted.get(key)
    ]


def _values(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)


def _row(query: str, params: dict[str, Any] | None = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchone()


def _column(query: str, params: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return [row[0] for row in cursor.fetchall()]
