"""The feed of what agents wrote, and folding it into the thread index of the current schema."""

import logging
import time
from collections.abc import Iterator
from typing import Any, Final, cast

from django.db import DatabaseError, OperationalError, connection
from psycopg import errors, sql

from memory.index.batch import Batch
from memory.index.lag import Lag
from memory.query import Row, current_schema, fetch

log = logging.getLogger("studio")

# threads at once: for a reader some 30 ms, and at most for who has time
READERS: Final = 200
MOST: Final = 1000
# two columns of a reader's statement: whether anything waits, and whether threads are not counted yet
WAITS: Final = """
    (select exists (select from memory_feed)) as waits,
    (select exists (select from memory_backlog)) as counting"""
_WAITS: Final = sql.SQL("select " + WAITS)
# the index is complete up to the row that waits longest
_BEHIND: Final = sql.SQL("select extract(epoch from clock_timestamp() - min(at))::float as behind from memory_feed")
_LEFT: Final = sql.SQL("""
    select count(*) as left, count(*) filter (where b.error <> '') as failed,
        extract(epoch from clock_timestamp() - min(b.at) filter (where b.error = ''))::float as seconds,
        -- an estimate, because this is asked with each list
        (select greatest(c.reltuples, 0)::bigint from pg_class c where c.oid = 'agno_sessions'::regclass) as total
    from memory_backlog b""")


class Behind(OperationalError):
    """The index could not be brought up to date in time. It can be tried again."""


def read_fresh(
    statement: sql.Composable | str, values: dict[str, Any], *, one_plan: bool = True
) -> tuple[list[Row], Lag]:
    """Fetch by a statement that has the columns WAITS, after what waits is folded; return the rows without these.

    More than a reader may wait for is not folded, and the lag says so.
    """
    rows = fetch(statement, values, one_plan=one_plan)
    state = _state(rows)
    if state["waits"]:
        fold_some()
        rows = fetch(statement, values, one_plan=one_plan)
        state = _state(rows)
    for row in rows:
        del row["waits"], row["counting"]
    behind = seconds_behind() if state["waits"] else 0
    return rows, _count_left(behind) if state["counting"] else Lag(behind)


def seconds_behind() -> float:
    """Return the age of the oldest write that waits, 0 if none does."""
    return float(fetch(_BEHIND, {})[0]["behind"] or 0)


def _count_left(behind: float) -> Lag:
    row = fetch(_LEFT, {})[0]
    waiting = row["left"] - row["failed"]
    done = row["total"] - waiting
    return Lag(behind, row["left"], waiting * row["seconds"] / done if done > 0 and waiting else None, row["failed"])


def waiting() -> int:
    """Return the number of writes that wait."""
    return int(fetch(sql.SQL("select count(*) as writes from memory_feed"), {})[0]["writes"])


def fold_some() -> None:
    """Fold what a reader may wait for, some 50 ms; nothing if another process is folding for longer.

    A reader reads all the same if nothing can be written, as on a full disk.
    """
    try:
        _fold(READERS, bounded=True)
    except DatabaseError as error:
        log.warning("%s: the thread index was read as it is: %s", current_schema(), str(error).splitlines()[0])


def fold(seconds: float | None = None) -> Iterator[int]:
    """Fold until nothing waits, another process folds, or the time is over; yield the number of rows of each batch."""
    end = None if seconds is None else time.monotonic() + seconds
    batch = Batch(MOST)
    while end is None or time.monotonic() < end:
        with batch.timed():
            done = _fold(batch.size, bounded=False)
        if not done:
            return
        yield done


def fold_all(seconds: float = 10) -> None:
    """Fold until nothing waits; raise Behind if that takes longer, or another process folds for longer."""
    try:
        sum(fold(seconds))
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable | errors.QueryCanceled | errors.DeadlockDetected):
            raise Behind from error
        raise
    if _state([])["waits"]:
        raise Behind


def catch_up(session_ids: list[str]) -> None:
    """Count what waits of these threads, in the transaction of the caller."""
    fetch(sql.SQL("select memory_catch_up(%(ids)s)"), {"ids": session_ids})


def _fold(most: int, *, bounded: bool) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("select memory_fold(%s, %s)", [most, bounded])
        return cast(int | None, cursor.fetchone()[0])


def _state(rows: list[Row]) -> Row:
    # only a list without rows asks by itself
    return dict((rows or fetch(_WAITS, {}))[0])
