"""An agent that writes in order that the index is wrong, late, or brings back what was deleted."""

import json
import os
import random
import string
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from memory.index import batch, feed, repair
from memory.index.threads import Filter, get_thread, list_threads
from memory.index.users import get_user, list_users
from memory.services.deletion import delete_threads
from studio import ids
from studio.models import Agent
from tests.memory.index.beside import SESSION, Other, fold, other, where, write, write_run
from tests.world import DANA, NOW, run, sql


def noise(length: int) -> str:
    """Text that does not get shorter by compression."""
    return "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=length))


def put(to: Other, session_id: str, runs: list[Any], at: int = NOW) -> None:
    to.execute(SESSION, [session_id, "ann", json.dumps(runs), at])


# Written and not counted


def test_no_lock_that_an_agent_may_take_stops_the_fold(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a")
    # as a superuser, because the bundled server lets no agent take one
    parts = {**psycopg.conninfo.conninfo_to_dict(os.environ["TEST_SUPERUSER_URL"]), "dbname": where()["dbname"]}
    with psycopg.connect(**parts, autocommit=True) as agent:
        for schema in (shared.schema_name, f'"{shared.schema_name}"'):
            agent.execute("select pg_advisory_lock(hashtext('memory_feed'), hashtext(%s))", [schema])
        assert fold(writer) == 1


# does the innermost statement `levels` deep, and there in so many nested blocks
DEEP = """do $$ declare n int := current_setting('a.n')::int; begin
    if n > 0 then
        perform set_config('a.n', (n - 1)::text, false);
        execute current_query();
    else {begin} execute 'execute p'; {end} end if;
end $$"""


def is_written(agent: Other, levels: int, blocks: int) -> bool:
    agent.execute("select set_config('a.n', %s, false)", [str(levels)])
    try:
        agent.execute(DEEP.format(begin="begin " * blocks, end="end; " * blocks))
    except psycopg.errors.StatementTooComplex:
        return False
    return True


@contextmanager
def shallow(schema: str) -> Iterator[Other]:
    """A session with little stack, whose statement is planned already and its triggers are not."""
    place = f"-c search_path={schema} -c max_stack_depth=100kB -c plan_cache_mode=force_generic_plan"
    parts = {**where(), **psycopg.conninfo.conninfo_to_dict(os.environ["TEST_SUPERUSER_URL"])}
    parts["dbname"] = where()["dbname"]
    with psycopg.connect(**parts, options=place, autocommit=True) as agent:
        agent.execute("prepare p as update agno_sessions set updated_at = 1")
        agent.execute("explain execute p")
        yield agent


def test_who_leaves_no_stack_to_note_a_write_cannot_write(shared: Agent, writer: Other) -> None:
    """At any depth a write either fails, or is noted, or is known to be missed."""
    write(writer, "t", "a")
    fold(writer)
    with shallow(shared.schema_name) as agent:
        deepest = next(levels for levels in reversed(range(100)) if is_written(agent, levels, 0))
    writer.execute("truncate memory_feed")
    for levels in (deepest, deepest - 1):
        with shallow(shared.schema_name) as agent:
            blocks = next(blocks for blocks in reversed(range(200)) if is_written(agent, levels, blocks))
        noted = writer.execute("delete from memory_feed").rowcount
        assert noted or writer.execute(repair._MISSED).fetchall(), (levels, blocks)


READ_ONLY = "returning set_config('transaction_read_only', 'on', true)"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into agno_sessions (session_id, session_type, created_at) values ('new', 'agent', 1)",
        "insert into agno_runs (run_id, session_id, run_type, run_data, created_at) values ('b', 't', '', '{}', 1)",
        "update agno_sessions set user_id = 'bob'",
        "update agno_runs set status = 'ERROR'",
        "delete from agno_runs",
        "delete from agno_sessions",
    ],
)
def test_who_makes_it_impossible_to_note_a_write_after_it_cannot_write(
    shared: Agent, writer: Other, statement: str
) -> None:
    """What a statement returns is made after its rows are written, and before its triggers run."""
    write(writer, "t")
    write_run(writer, "t", "a")
    fold(writer)
    with other(shared.schema_name) as agent, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        agent.execute(f"{statement} {READ_ONLY}")
    assert sql(
        "select s.session_id, s.user_id, run_id, status from agno_sessions s join agno_runs using (session_id)"
    ) == [("t", "ann", "a", None)]


def test_a_run_that_looks_as_it_was_is_found_by_a_check_and_counted_by_a_rebuild(shared: Agent, writer: Other) -> None:
    """Postgres' hash of two values that change places 32 tokens apart is the same."""
    between = {f"k{n:06d}": n for n in range(15)}
    put(writer, "t", [{"status": "ERROR", **between, "zzzzzzzz": "FINED"}])
    fold(writer)
    put(writer, "t", [{"status": "FINED", **between, "zzzzzzzz": "ERROR"}])
    fold(writer)
    assert sql("select last_status from memory_thread") == [("ERROR",)]
    with pytest.raises(CommandError, match="rows differ"):
        call_command("thread_index", "check")
    call_command("thread_index", "rebuild")
    assert sql("select last_status from memory_thread") == [("FINED",)]


@pytest.mark.parametrize("layout", ["column", "table"])
def test_no_status_is_too_long_for_the_index(shared: Agent, writer: Other, layout: str) -> None:
    status = noise(2000)
    put(writer, "t" * 1500, [run("a", status=status)] if layout == "column" else [])
    if layout == "table":
        write_run(writer, "t" * 1500, "a", status=status)
        writer.execute("update agno_runs set status = %s", [status])
    fold(writer)
    assert repair.backlog() == 0
    assert list_threads(Filter(status=status[:40]), "last", "", content=True).rows


@pytest.mark.parametrize("layout", ["column", "table", "owner"])
def test_no_id_of_a_user_makes_a_list_of_megabytes(shared: Agent, writer: Other, layout: str) -> None:
    user = noise(3_000_000)
    put(writer, "t", [run("a", user_id=user)] if layout == "column" else [])
    if layout == "table":
        write_run(writer, "t", "a")
        # it has an index that holds no more of what does not compress
        writer.execute("update agno_runs set user_id = repeat('long', 10000)")
        user = "long" * 10_000
    writer.execute("update agno_sessions set user_id = %s", [user if layout == "owner" else None])
    fold(writer)
    assert repair.backlog() == 0
    key = ids.key(user[:10000])
    for asked in (user, key):
        assert [row["users"] for row in list_threads(Filter(user_id=asked)).rows] == [[key]]
        assert get_user(asked)["user_id"] == user[:10000]
    assert [row["user_id"] for row in list_users(user).rows] == [key]
    thread = get_thread("t")
    assert thread is not None
    assert len(str(thread)) < 2_000


def test_a_check_names_what_cannot_be_counted(shared: Agent, writer: Other, capsys: pytest.CaptureFixture[str]) -> None:
    write(writer, noise(2692), "a")
    fold(writer)
    with pytest.raises(CommandError, match="1 rows differ or failed"):
        call_command("thread_index", "check")
    assert "index row size" in capsys.readouterr().out


# One at the cost of others


def test_one_thread_that_cannot_be_counted_leaves_the_others_in_batches(shared: Agent, writer: Other) -> None:
    for n in range(200):
        write(writer, f"t{n}", "a")
    write(writer, noise(2692), "a")
    fold(writer, 1000)
    assert sql("select count(*) from memory_thread") == [(200,)]
    assert sql("select count(*) from memory_backlog where error <> ''") == [(1,)]


def test_a_reader_does_not_count_long_threads_that_were_renamed(shared: Agent, writer: Other) -> None:
    put(writer, "long", [run("a", "x", noise(1_500_000))])
    fold(writer)
    writer.execute("update agno_sessions set session_id = 'renamed'")
    feed.fold_some()
    # the old name is gone at once, the new one comes with the upkeep
    assert sql("select session_id from memory_thread") == []
    assert feed.waiting() > 0
    sum(feed.fold())
    assert sql("select session_id from memory_thread") == [("renamed",)]


def test_the_first_of_many_threads_shows_how_long_one_takes(
    shared: Agent, writer: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(30):
        write(writer, f"t{n}")
    monkeypatch.setattr(batch, "FAST", 60)
    assert list(feed.fold()) == [1, 4, 16, 9]


def test_all_that_waits_of_one_thread_is_counted_together(shared: Agent, writer: Other) -> None:
    write(writer, "t")
    writer.execute(
        "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
        " select 'r' || n, 't', 'agent', '{}', n from generate_series(1, 3000) n"
    )
    assert list(feed.fold()) == [3001]


# Back from the dead


def test_no_thread_gets_the_id_of_a_deleted_one(shared: Agent, writer: Other) -> None:
    put(writer, "dead", [run("a")], NOW - 9)
    delete_threads(DANA, shared, ["dead"])
    put(writer, "alive", [run("a")], NOW - 9)
    write_run(writer, "alive", "b")
    assert writer.execute("update agno_sessions set session_id = 'dead'").rowcount == 0
    assert sql("select session_id from agno_sessions") == [("alive",)]


def test_no_old_run_moves_into_a_new_thread_with_the_id_of_a_deleted_one(shared: Agent, writer: Other) -> None:
    put(writer, "dead", [], NOW - 9)
    put(writer, "other", [], NOW - 9)
    writer.execute(
        "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
        " values ('old', 'other', 'agent', '{}', %s)",
        [NOW - 9],
    )
    delete_threads(DANA, shared, ["dead"])
    put(writer, "dead", [], NOW + 100)
    assert writer.execute("update agno_runs set session_id = 'dead'").rowcount == 0
    assert sql("select session_id from agno_runs") == [("other",)]


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_who_cannot_see_a_deletion_brings_nothing_back(shared: Agent, writer: Other, level: str) -> None:
    with other(shared.schema_name) as late:
        late.execute(f"begin isolation level {level}")
        late.execute("select from agno_sessions")
        put(writer, "dead", [run("a")], NOW - 9)
        delete_threads(DANA, shared, ["dead"])
        with pytest.raises(psycopg.errors.SerializationFailure):
            put(late, "dead", [run("a")], NOW - 9)
        late.execute("rollback")
        # what was never deleted is written as always, and leaves nothing
        late.execute(f"begin isolation level {level}")
        put(late, "new", [run("a")])
        write_run(late, "new", "b")
        late.execute("commit")
    assert sql("select session_id from agno_sessions") == [("new",)]
    assert sql("select count(*) from memory_tombstone") == [(1,)]
