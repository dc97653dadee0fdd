"""Migrating the schemas of earlier releases, while agents of both generations write to them.

data/counted_by_triggers.sql.gz is as the last release before the feed made it, data/in_stored_order.sql.gz as the last
one before runs had a place.
"""

import gzip
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django_tenants.utils import schema_context

from memory.index import feed, repair
from memory.schema import run as schema_run
from studio.agents import provision
from studio.ids import schema_name
from studio.models import Agent
from tests.rounds import ATTACK, rounds
from tests.world import NOW, SYSTEM, run, sql

DATA = Path(__file__).parent / "data"
MIGRATIONS = ("0001_tables", "0002_faster_triggers", "0003_triggers_without_row_types", "0004_feed")
RELEASES = {"counted_by_triggers": MIGRATIONS[:3], "in_stored_order": MIGRATIONS}
THREADS = rounds(40, 2_000)
# longer than the longest wait for a lock; on a quiet machine a write waits less than 100 ms
WORST = 0.25


@pytest.fixture(params=RELEASES)
def agent(transactional_db: None, request: pytest.FixtureRequest) -> Iterator[Agent]:
    agent = provision.create_agent(SYSTEM, agent_id="of-an-earlier-release", name="Old")
    try:
        make_old(agent.schema_name, request.param)
        yield agent
    finally:
        connection.set_schema_to_public()
        provision.remove_agent(SYSTEM, agent)


def make_old(schema: str, release: str) -> None:
    """Make a schema as a release left it, and fill it through its triggers."""
    sql(f"drop schema {schema} cascade")
    sql(f"create schema {schema}")
    for statement in gzip.decompress((DATA / f"{release}.sql.gz").read_bytes()).decode().split("\n-- next\n"):
        sql(statement.replace("{schema}", schema))
    with schema_context(schema):
        sql("create table django_migrations (id bigserial primary key, app text, name text, applied timestamptz)")
        for name in RELEASES[release]:
            sql("insert into django_migrations (app, name, applied) values ('memory', %s, now())", name)
        for number in range(THREADS):
            write(connection.cursor(), f"old {number}", [run(f"old {number} {n}") for n in range(3)], number % 2 == 0)
        if release == "counted_by_triggers":
            sql("insert into memory_dirty (session_id) values ('old 1'), ('gone')")
        else:
            while sql("select memory_fold(1000, false)") != [(0,)]:
                pass
            assert sql("select count(*) from memory_run") == [(3 * THREADS,)]
        sql("update memory_thread set runs = 99 where session_id = 'old 1'")
        sql("insert into memory_thread (session_id, created_at) values ('gone', 1)")


def write(cursor: Any, session_id: str, runs: list[dict[str, Any]], in_column: bool) -> None:
    """Write a thread as it is after its last run: Agno 2.5 writes all runs, Agno 3.1 the last one."""
    cursor.execute(
        "insert into agno_sessions (session_id, session_type, user_id, runs, created_at, updated_at)"
        " values (%s, 'agent', %s, %s, %s, %s) on conflict (session_id) do update set runs = excluded.runs,"
        " updated_at = excluded.updated_at",
        [session_id, f"user {len(session_id)}", json.dumps(runs) if in_column else None, NOW, NOW + len(runs)],
    )
    for index, one in enumerate([] if in_column else runs):
        cursor.execute(
            "insert into agno_runs (run_id, session_id, run_type, status, run_index, run_data, created_at)"
            " values (%s, %s, 'agent', 'COMPLETED', %s, %s, %s) on conflict (run_id) do nothing",
            [one["run_id"], session_id, index, json.dumps(one), NOW],
        )


@dataclass
class Writers:
    """Agents of both generations, in threads, each write a transaction; `written` counts the runs of each thread."""

    schema: str
    written: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def __enter__(self) -> "Writers":
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=[n]) for n in range(4)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        place = connection.settings_dict
        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
        with psycopg.connect(**{key: place[name] for key, name in names.items()}, prepare_threshold=2) as link:
            link.execute(f"set search_path = {self.schema}")
            link.commit()
            turn = 0
            while not self._stop.is_set():
                session_id = f"writer {number} {turn // 6}"
                runs = [run(f"{session_id} {n}") for n in range(turn % 6 + 1)]
                began = time.monotonic()
                try:
                    write(link.cursor(), session_id, runs, in_column=number % 2 == 0)
                    link.commit()
                except psycopg.Error as error:
                    self.errors.append(error)
                    return
                self.waits.append(time.monotonic() - began)
                self.written[session_id] = len(runs)
                turn += 1
                time.sleep(0.002)


def assert_migrated(writers: Writers) -> None:
    """Check that every write is counted, that no other row differs, and that nothing of the old index is left."""
    assert writers.errors == []
    # this is the first round of the upkeep
    feed.fold_all(600)
    assert sum(batch.failed for batch in repair.mend(again=False)) == 0
    assert repair.backlog() == 0
    counted = dict(sql("select session_id, runs from memory_thread"))
    old = {f"old {number}": 3 for number in range(THREADS)}
    assert counted == {**old, **writers.written}
    call_command("thread_index", "check", "--agent", "of-an-earlier-release")
    assert sql("select is_called from memory_missed") == [(False,)]
    assert sql("select to_regclass('memory_dirty')::text") == [(None,)]
    with schema_context(schema_name("agt-ada")):
        as_new = made()
    assert made() == as_new


def made() -> set[tuple[str, ...]]:
    """What an agent's schema has: functions, triggers, columns of tables, indexes and constraints."""
    here = "= current_schema()::regnamespace"
    columns = "table_name, column_name, data_type, coalesce(column_default, ''), is_nullable"
    return {
        *sql(f"select 'function', oid::regprocedure::text from pg_proc where pronamespace {here}"),
        *sql(f"""
            select 'trigger', tgrelid::regclass::text, tgname, tgfoid::regproc::text from pg_trigger
            join pg_class c on c.oid = tgrelid where relnamespace {here} and not tgisinternal"""),
        *sql(f"""
            select {columns} from information_schema.columns
            where table_schema = current_schema() and table_name <> 'django_migrations'"""),
        *sql("""
            select 'index', tablename, indexname from pg_indexes
            where schemaname = current_schema() and tablename <> 'django_migrations'"""),
    }


@pytest.mark.attack
def test_no_write_is_lost_and_none_waits_long(agent: Agent) -> None:
    with Writers(agent.schema_name) as writers:
        time.sleep(0.3)
        began = time.monotonic()
        provision.migrate(agent.schema_name)
        took = time.monotonic() - began
        time.sleep(0.3)
    print(f"{len(writers.waits)} writes, the longest took {max(writers.waits) * 1000:.0f} ms; migrated in {took:.1f} s")
    with schema_context(agent.schema_name):
        assert_migrated(writers)
    if ATTACK:
        assert max(writers.waits) < WORST


class Killed(Exception):
    pass


@pytest.mark.attack
def test_it_goes_on_where_it_was_interrupted(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each statement commits by itself, so that an end between two is what a kill leaves."""
    patiently, done = schema_run._patiently, Counter[int]()

    def killed_after(number: int) -> Callable[[Any, str], None]:
        def run_one(cursor: Any, statement: str) -> None:
            if done[number] == number:
                raise Killed
            done[number] += 1
            patiently(cursor, statement)

        return run_one

    with Writers(agent.schema_name) as writers:
        for number in itertools.count(0, rounds(7, 1)):
            monkeypatch.setattr(schema_run, "_patiently", killed_after(number))
            try:
                provision.migrate(agent.schema_name)
            except Killed:
                continue
            break
        monkeypatch.undo()
    assert number > 50
    with schema_context(agent.schema_name):
        assert_migrated(writers)
