"""Comparing the thread index of the current schema with Agno's tables, and mending it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

# the threads of a batch are locked until it commits, for some 20 ms
BATCH: Final = 50


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


def dirty_count() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from memory_dirty")
        return int(cursor.fetchone()[0])


def mend(batch: int = BATCH) -> Iterator[Mended]:
    """Count dirty threads again, a batch in each transaction, and yield the result of each batch."""
    # only those that are dirty now: one that fails is marked again, and would come round for ever
    with connection.cursor() as cursor:
        cursor.execute("select coalesce(max(no), 0) from memory_dirty")
        up_to = cursor.fetchone()[0]
    while up_to:
        with transaction.atomic(), connection.cursor() as cursor:
            # no wait for the disk: what a crash undoes is still marked dirty, and mended again
            cursor.execute("set local synchronous_commit = off")
            cursor.execute("select mended, failed from memory_mend(%s, %s)", [batch, up_to])
            done = Mended(*cursor.fetchone())
        if done.mended + done.failed == 0:
            return
        yield done


def mark_all() -> int:
    """Mark every thread dirty, and every index row without a thread; return their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into memory_dirty (session_id)
            select coalesce(s.session_id, t.session_id)
            from agno_sessions s full join memory_thread t on t.session_id = s.session_id
            where not exists (select 1 from memory_dirty d where d.session_id = coalesce(s.session_id, t.session_id))
            """
        )
        return int(cursor.rowcount)


def thread_ids(after: str | None, limit: int) -> list[str]:
    """Return the next ids of threads and of index rows, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            (select session_id::text as id from agno_sessions
             where %(after)s::text is null or session_id > %(after)s order by session_id limit %(limit)s)
            union
            (select session_id from memory_thread
             where %(after)s::text is null or session_id > %(after)s order by session_id limit %(limit)s)
            order by id limit %(limit)s
            """,
            {"after": after, "limit": limit},
        )
        return [row[0] for row in cursor.fetchall()]


def user_keys(after: Any, limit: int) -> list[Any]:
    """Return the next user keys of memory_participant and memory_user, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            (select distinct user_key as key from memory_participant
             where %(after)s::uuid is null or user_key > %(after)s order by user_key limit %(limit)s)
            union
            (select user_key from memory_user
             where %(after)s::uuid is null or user_key > %(after)s order by user_key limit %(limit)s)
            order by key limit %(limit)s
            """,
            {"after": after, "limit": limit},
        )
        return [row[0] for row in cursor.fetchall()]


def recount_users(keys: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select memory_users_recount(%s)", [keys])


def differences(ids: list[str]) -> list[Difference]:
    """Return the index rows of these threads that differ from a recount; nothing is changed."""
    query = """
        select 'memory_thread', session_id, to_jsonb(t)::text from memory_thread t where session_id = any(%(ids)s)
        union all
        select 'memory_participant', session_id || ' ' || user_key, to_jsonb(p)::text
        from memory_participant p where session_id = any(%(ids)s)
        """
    return _compare(query, {"ids": ids}, "select memory_recount(%(ids)s)")


def user_differences(keys: list[Any]) -> list[Difference]:
    query = "select 'memory_user', user_id, to_jsonb(u)::text from memory_user u where user_key = any(%(keys)s)"
    return _compare(query, {"keys": keys}, "select memory_users_recount(%(keys)s)")


def _compare(query: str, params: dict[str, Any], recount: str) -> list[Difference]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query, params)
        kept = {(table, id): row for table, id, row in cursor.fetchall()}
        cursor.execute(recount, params)
        cursor.execute(query, params)
        counted = {(table, id): row for table, id, row in cursor.fetchall()}
        # the recount was made by the functions that write the index, so it is undone
        transaction.set_rollback(True)
    return [
        Difference(*key, _row(kept.get(key)), _row(counted.get(key)))
        for key in sorted(kept.keys() | counted.keys())
        if kept.get(key) != counted.get(key)
    ]


def _row(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
