"""Pages of a thread's runs: what they cost."""

import re
from collections.abc import Callable

from django.db import connection
from django.test.utils import CaptureQueriesContext

from memory.index import feed
from memory.index.threads import get_thread
from memory.transcript.place import Place
from memory.transcript.runs import list_runs
from studio.models import Agent
from tests.memory.transcript.threads import agno, execute
from tests.world import NOW, run, write_thread


def test_a_page_takes_one_statement_however_many_runs_there_are(here: Agent) -> None:
    for session_id, count, where in (("few", 3, "column"), ("many", 300, "column"), ("table", 300, "table")):
        write_thread(here, session_id, [agno(f"{session_id}{n}", at=NOW + n) for n in range(count)], layout=where)
        thread = get_thread(session_id)
        assert thread is not None
        with CaptureQueriesContext(
            connection,
        ) as queries:
            one = list_runs(thread)
        assert len(queries) == 1
        with CaptureQueriesContext(connection) as queries:
            list_runs(thread, Place.read(one.older))
        assert len(queries) == 1


def test_a_column_is_sliced_and_never_read_by_element(here: Agent) -> None:
    write_thread(here, "s", [agno(f"r{n}", at=NOW + n) for n in range(60)])
    thread = get_thread("s")
    assert thread is not None
    with CaptureQueriesContext(connection) as queries:
        list_runs(thread)
    plan = planned(queries[0]["sql"])
    assert "jsonb_path_query_array" in plan
    assert "Function Scan on pg_catalog.jsonb_array_elements" not in plan


def test_what_is_shown_of_a_large_run_is_made_once(here: Agent) -> None:
    write_thread(here, "s", [run("r1", "q", "a" * 300_000)])
    execute("create sequence shown")
    execute(
        "create or replace function memory_shown(v jsonb) returns text language plpgsql immutable parallel safe as"
        " $$begin perform nextval('shown'); return v::text; end$$"
    )
    thread = get_thread("s")
    assert thread is not None
    assert len(list_runs(thread).runs) == 1
    with connection.cursor() as cursor:
        cursor.execute("select last_value from shown")
        assert cursor.fetchone() == (1,)


def test_a_page_of_the_table_reads_along_the_index(here: Agent, analyze: Callable[..., None]) -> None:
    write_thread(here, "s", [agno(f"r{n}", at=NOW + n // 3) for n in range(300)], layout="table")
    execute(
        "with s as (insert into agno_sessions (session_id, session_type, created_at)"
        " select 'other ' || n, 'agent', %s from generate_series(1, 300) n returning session_id)"
        " insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
        " select s.session_id || '.' || n, s.session_id, 'agent', '{}', %s + n * 5 from s, generate_series(1, 20) n",
        NOW,
        NOW,
    )
    feed.fold_all()
    analyze("memory_run")
    analyze("agno_runs")
    thread = get_thread("s")
    assert thread is not None
    older = list_runs(thread).older
    with CaptureQueriesContext(connection) as queries:
        list_runs(thread, Place.read(older))
    plan = planned(queries[0]["sql"])
    assert re.search(r"Index Scan Backward using memory_run_place .*?Index Cond: [^\n]*place <", plan, re.DOTALL)
    assert "using agno_runs_pkey" in plan
    assert not re.search(r"Seq Scan on \S+\.(agno_\w+|memory_run)\b", plan)


def planned(query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("explain (verbose, costs off) " + query)
        return "\n".join(row[0] for row in cursor.fetchall())
