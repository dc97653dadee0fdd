"""Fill schemas with the benchmark's threads, by COPY, and count them by the functions that fold the feed."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from multiprocessing import get_context
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier
from tqdm import tqdm

from tests.bench.shape import Layout, Shape, Thread

PART: Final = 2_000  # threads of one COPY
BATCH: Final = 2_000  # threads that a process counts
AT_ONCE: Final = 100  # threads that it counts in a transaction
WORKERS: Final = 2
_INDEX: Final = ("memory_thread", "memory_participant", "memory_run")
_IDS: Final = "select session_id from agno_sessions where session_id > %s and session_id <= %s order by 1"
_COUNT: Final = """
    select memory_recount(array(select row(id, null, true, now())::memory_feed from unnest(%s::text[]) id))"""
_USERS: Final = "select memory_recount_users(array_agg(distinct user_key)) from memory_participant"

_SESSIONS: Final = "session_id, session_type, agent_id, user_id, session_data, agent_data, created_at, updated_at"
_RUNS: Final = "run_id, session_id, run_type, agent_id, user_id, status, run_index, run_data, created_at"
_TABLES: Final = ("agno_sessions", "agno_runs")
_AGENT_DATA: Final = '{"name": "Bench", "agent_id": "bench", "model": {"id": "gpt-4o-mini", "provider": "OpenAI"}}'


def fill(dsn: str, schemas: dict[str, Layout], shape: Shape, first: int = 0) -> None:
    """Add threads from number `first` on to agents' schemas, then their index rows and statistics.

    Each schema keeps its runs in its own layout; a thread is made once for all of them.
    """
    with ExitStack() as stack:
        connections = {schema: stack.enter_context(_connection(dsn, schema)) for schema in schemas}
        for connection in connections.values():
            stack.enter_context(_without_triggers(connection))
        parts = _parts(first, shape.threads)
        _spread(_copy, [(dsn, schemas, shape, *part) for part in parts], PART, f"{shape.threads:,} threads")
        bounds = list(pairwise(_bounds(shape, first)))
        for connection in connections.values():
            connection.execute("analyze agno_sessions, agno_runs")
        # one process folds a schema at a time, so the schemas take turns
        tasks = [(dsn, schema, *pair) for pair in bounds for schema in schemas]
        _spread(_index, tasks, BATCH, "their thread index")
        for connection in connections.values():
            settle(connection)


def copy_newest(dsn: str, source: str, target: str, ids: list[str]) -> None:
    """Copy threads of one agent to another who has none, with their index."""
    with _connection(dsn, target) as connection:
        with _without_triggers(connection):
            for table in (*_TABLES, *_INDEX):
                copy_rows(connection, source, target, table, ids)
            connection.execute(_USERS)
        settle(connection)


def copy_schema(dsn: str, source: str, target: str, *, runs: Layout) -> None:
    """Copy threads into tables that Agno made, in place of what they hold; what is compressed stays as it is."""
    tables = _TABLES if runs == "table" else _TABLES[:1]
    with _connection(dsn, source) as connection:
        with connection.transaction():
            # emptied in the same transaction, so that nothing need be logged
            connection.execute(SQL("truncate {} cascade").format(Identifier(target, _TABLES[0])))
            for table in tables:
                copy_rows(connection, source, target, table)
        for table in tables:
            connection.execute(SQL("vacuum analyze {}").format(Identifier(target, table)))


def copy_rows(
    connection: psycopg.Connection[Any],
    source: str,
    target: str,
    table: str,
    ids: list[str] | None = None,
) -> None:
    """Copy rows of threads that the target lacks, in the columns that it has."""
    columns = connection.execute(
        "select column_name from information_schema.columns"
        " where table_schema = %s and table_name = %s and is_generated = 'NEVER'",
        [target, table],
    ).fetchall()
    names = [name for (name,) in columns]
    copy = "insert into {to} ({names}) select {values} from {of} o where not exists ({there}) and {chosen}"
    there = SQL("select from {} t where t.session_id = o.session_id").format(Identifier(target, table))
    connection.execute(
        SQL(copy).format(
            to=Identifier(target, table),
            of=Identifier(source, table),
            names=SQL(", ").join(map(Identifier, names)),
            values=SQL(", ").join(map(Identifier, names)),
            there=there,
            chosen=SQL("true" if ids is None else "o.session_id = any(%(ids)s)"),
        ),
        {"ids": ids},
    )


def settle(connection: psycopg.Connection[Any]) -> None:
    """Leave the tables as autovacuum would in a quiet hour."""
    for table in (*_TABLES, *_INDEX, "memory_user", "memory_feed"):
        connection.execute(SQL("vacuum analyze {}").format(Identifier(table)))


@contextmanager
def _connection(dsn: str, schema: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute("select set_config('search_path', %s, false)", [f"{schema}, public"])
        yield connection


@contextmanager
def _without_triggers(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Only for the owner of the tables, before anybody uses them."""
    for table in _TABLES:
        connection.execute(SQL("alter table {} disable trigger user").format(Identifier(table)))
    try:
        yield
    finally:
        for table in _TABLES:
            connection.execute(SQL("alter table {} enable trigger user").format(Identifier(table)))


def _parts(first: int, last: int) -> list[tuple[int, int]]:
    return [(start, min(start + PART, last)) for start in range(first, last, PART)]


def _bounds(shape: Shape, first: int) -> list[str]:
    """Ids that part the threads into batches, of which each lies above one id and up to the next."""
    ids = sorted(shape.session_id(number) for number in range(first, shape.threads))
    bounds = ["", *ids[BATCH - 1 :: BATCH]]
    return bounds if bounds[-1] == ids[-1] else [*bounds, ids[-1]]


def _spread(work: Callable[..., int], tasks: list[tuple[Any, ...]], size: int, label: str) -> None:
    """Do tasks in processes of their own, with a bar that says how long the rest will take."""
    if len(tasks) <= WORKERS:
        for task in tasks:
            work(*task)
        return
    with (
        ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool,
        tqdm(total=len(tasks) * size, desc=label, unit=" threads", disable=None, smoothing=0.1) as bar,
    ):
        for done in pool.map(work, *zip(*tasks, strict=True)):
            bar.total -= size - done
            bar.update(done)


def _copy(dsn: str, schemas: dict[str, Layout], shape: Shape, first: int, last: int) -> int:
    threads = list(shape.threads_made(first, last))
    for schema, layout in schemas.items():
        add(dsn, schema, layout, threads)
    return len(threads)


def add(dsn: str, schema: str, layout: Layout, threads: list[Thread]) -> None:
    """Copy threads into Agno's tables; what our triggers do then is up to them."""
    with _connection(dsn, schema) as connection, connection.transaction(), connection.cursor() as cursor:
        columns = _SESSIONS + (", runs" if layout != "table" else "")
        with cursor.copy(f"copy agno_sessions ({columns}) from stdin") as copy:
            for thread in threads:
                copy.write_row(_session(thread, layout))
        if layout != "column":
            with cursor.copy(f"copy agno_runs ({_RUNS}) from stdin") as copy:
                for thread in threads:
                    for row in _runs(thread):
                        copy.write_row(row)


def _session(thread: Thread, layout: Layout) -> tuple[Any, ...]:
    row = (
        *(thread.session_id, "agent", "bench", thread.user_id, thread.session_data, _AGENT_DATA),
        *(thread.created_at, thread.updated_at),
    )
    return row if layout == "table" else (*row, f"[{','.join(thread.runs)}]")


def _runs(thread: Thread) -> Iterator[tuple[Any, ...]]:
    for index, run in enumerate(thread.runs):
        yield (
            *(thread.run_id(index), thread.session_id, "agent", "bench", thread.people[index]),
            *(thread.statuses[index], index, run, thread.times[index]),
        )


def _index(dsn: str, schema: str, first: str, last: str) -> int:
    with _connection(dsn, schema) as connection:
        ids = [session_id for (session_id,) in connection.execute(_IDS, [first, last])]
        for start in range(0, len(ids), AT_ONCE):
            connection.execute(_COUNT, [ids[start : start + AT_ONCE]])
        return len(ids)
