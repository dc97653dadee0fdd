"""Single cases of the thread index: overlap, faults in a fold, and schemas of Agno's own."""

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_tenants.utils import schema_context

from memory.index import batch, feed, repair
from memory.schema import run as schema_run
from studio.models import Agent
from tests.memory.index import oracle
from tests.memory.index.beside import where
from tests.world import NOW, run, sql, write_run, write_thread


@pytest.fixture(autouse=True)
def _in_adas_schema(ada: Agent) -> Iterator[None]:
    with schema_context(ada.schema_name):
        yield


def test_a_run_that_moves_from_the_column_to_the_table_counts_once(ada: Agent) -> None:
    write_thread(ada, "t", [run("a"), run("b")], layout="column")
    write_run(ada, "t", run("b"), 1)
    oracle.assert_exact()
    assert sql("select runs, column_runs, table_runs from memory_thread") == [(2, 2, 1)]
    sql("delete from agno_runs where run_id = 'b'")
    oracle.assert_exact()
    assert sql("select runs, column_runs, table_runs from memory_thread") == [(2, 2, 0)]


def test_a_thread_that_agno_3_goes_on_with_counts_both_places(ada: Agent) -> None:
    write_thread(ada, "t", [run("a"), run("b")], layout="column")
    write_run(ada, "t", run("c", user_id="bob", at=NOW + 5), 2)
    oracle.assert_exact()
    assert sql("select runs, messages, users from memory_thread") == [(3, 6, 2)]
    assert sql("select r.run_id from memory_run r join memory_thread t on t.last_run = r.key") == [("c",)]


FAULTS = {
    "division by zero": "alter table memory_thread add constraint fault check (1 / (length(session_id) - 4) <> 7)",
    "a table renamed away": "alter table memory_thread rename to memory_thread_away",
    "a column that is gone": "alter table memory_participant rename column runs to gone",
    "a rollup that refuses": "alter table memory_user add constraint fault check (threads < 0)",
    "a function that is gone": "drop function memory_facts cascade",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("layout", ["column", "table"])
def test_a_fault_in_the_index_never_loses_an_agents_write(ada: Agent, fault: str, layout: str) -> None:
    sql(FAULTS[fault])
    write_thread(ada, "four", [run("a"), run("b")], layout=layout)
    sql("update agno_sessions set updated_at = %s where session_id = 'four'", NOW + 9)
    assert sql("select updated_at from agno_sessions") == [(NOW + 9,)]
    assert sql("select count(*) from agno_runs") == [(2 if layout == "table" else 0,)]
    list(feed.fold())
    assert sql("select session_id, error <> '' from memory_backlog") == [("four", True)]
    assert feed.waiting() == 0


def test_mending_makes_it_exact_after_a_fault(ada: Agent) -> None:
    sql("alter table memory_thread rename to memory_thread_away")
    write_thread(ada, "one", layout="table")
    write_thread(ada, "two", [run("x"), run("y", user_id="bob")])
    list(feed.fold())
    assert sum(done.failed for done in repair.mend()) == 2
    sql("alter table memory_thread_away rename to memory_thread")
    assert sum(done.mended for done in repair.mend(again=False)) == 0
    assert sum(done.mended for done in repair.mend()) == 2
    assert repair.backlog() == 0
    oracle.assert_exact()


def test_the_newest_are_counted_first(ada: Agent) -> None:
    for number, at in (("old", NOW - 9), ("newest", NOW), ("older", NOW - 99)):
        write_thread(ada, number, at=at)
    repair.mark_all()
    left = [{row[0] for row in sql("select session_id from memory_backlog")} for _ in repair.mend(1)]
    assert left == [{"old", "older"}, {"older"}, set()]


def test_bad_json_in_a_run_is_counted_as_far_as_it_can_be_read(ada: Agent) -> None:
    poison = [1, None, "text", [], {"run_id": 5, "messages": {"role": "user"}, "metrics": [], "created_at": "never"}]
    write_thread(ada, "t", poison)
    sql("update agno_sessions set session_data = %s where session_id = 't'", json.dumps({"session_name": ["x"]}))
    feed.fold_all()
    assert sql("select runs, messages, last_at from memory_thread") == [(5, 0, NOW)]
    assert repair.backlog() == 0


def test_a_thread_that_cannot_be_counted_waits_with_its_error_and_hinders_no_other(ada: Agent) -> None:
    sql("alter table memory_thread add constraint fault check (session_id <> 'bad') not valid")
    write_thread(ada, "bad", [run("a")])
    write_thread(ada, "good", [run("b")])
    feed.fold_all()
    assert sql("select session_id, runs from memory_thread") == [("good", 1)]
    assert sql("select session_id, error like '%%fault%%' from memory_backlog") == [("bad", True)]
    sql("insert into memory_backlog (session_id) values ('gone')")
    done = list(repair.mend())
    assert (sum(d.mended for d in done), sum(d.failed for d in done)) == (1, 1)
    assert sql("select session_id from memory_backlog") == [("bad",)]


def test_check_finds_what_differs_and_changes_nothing(ada: Agent) -> None:
    write_thread(ada, "t", [run("a")])
    feed.fold_all()
    sql("update memory_thread set runs = 7 where session_id = 't'")
    sql("update memory_user set threads = 9")
    (found,) = repair.differences(repair.thread_ids(None, 10))
    assert (found.table, found.kept["runs"], found.counted["runs"]) == ("memory_thread", 7, 1)  # type: ignore[index]
    (user,) = repair.user_differences(repair.user_keys(None, 10))
    assert (user.kept["threads"], user.counted["threads"]) == (9, 1)  # type: ignore[index]
    assert sql("select runs from memory_thread") == [(7,)]


def test_rebuilding_counts_all_and_drops_what_is_left_over(ada: Agent) -> None:
    write_thread(ada, "t", [run("a")])
    feed.fold_all()
    sql("insert into memory_thread (session_id, created_at) values ('left over', 1)")
    sql("update memory_thread set messages = 0")
    assert repair.mark_all() == 2
    list(repair.mend())
    oracle.assert_exact()
    assert sql("select session_id from memory_thread") == [("t",)]


def test_truncating_by_the_owner_empties_the_index(ada: Agent) -> None:
    write_thread(ada, "t", layout="table")
    feed.fold_all()
    sql("truncate agno_sessions cascade")
    oracle.assert_exact()
    assert sql("select (select count(*) from memory_thread), (select count(*) from memory_user)") == [(0, 0)]


def test_a_user_id_of_any_length_is_indexed(ada: Agent) -> None:
    import secrets

    long = secrets.token_hex(4096)
    write_thread(ada, "t", user_id=long)
    oracle.assert_exact()
    assert sql("select user_id from memory_user") == [(long,)]
    assert repair.backlog() == 0


@pytest.fixture(scope="module")
def committed_schema(django_db_setup: None) -> Iterator[str]:
    """A schema that is really there for other connections, made from the migration's own SQL."""
    name = f"ag_side_by_side_{time.monotonic_ns()}"
    with psycopg.connect(**where(), autocommit=True) as own:
        own.execute(f"create schema {name}")
        for file in schema_run.FILES:
            for statement in schema_run.statements(file, name):
                own.execute(statement)
        yield name
        own.execute(f"drop schema {name} cascade")


def test_a_schema_made_with_earlier_functions_gets_the_present_ones(committed_schema: str) -> None:
    """In the transaction that makes a new agent there is nothing to do again."""
    replace = schema_run.run("facts.sql", again=True)
    with psycopg.connect(**where(), autocommit=True) as own:
        own.execute(f"drop function {committed_schema}.memory_list")
        for in_creation in (True, False):
            place = SimpleNamespace(schema_name=committed_schema, in_atomic_block=in_creation, cursor=own.cursor)
            replace(None, SimpleNamespace(connection=place))
            found = own.execute("select to_regproc(%s) is null", [f"{committed_schema}.memory_list"]).fetchone()
            assert found == (in_creation,)


def test_a_rebuild_that_is_stopped_goes_on_with_mend(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write_thread(ada, str(number))
    sql("update memory_thread set runs = 9")
    sql("update memory_user set threads = 9")
    mend = repair.mend

    def stopped(batch: int, **more: bool) -> Iterator[repair.Mended]:
        yield next(mend(1))
        raise KeyboardInterrupt

    monkeypatch.setattr(repair, "mend", stopped)
    with pytest.raises(CommandError, match="Stopped"):
        call_command("thread_index", "rebuild", "--agent", ada.pk)
    monkeypatch.undo()
    connection.set_schema(ada.schema_name)
    assert repair.backlog() == 2
    call_command("thread_index", "mend", "--agent", ada.pk)
    connection.set_schema(ada.schema_name)
    oracle.assert_exact()


def test_nobody_knows_how_long_a_transaction_takes_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sql(
        "insert into agno_sessions (session_id, session_type, created_at)"
        " select 's' || n, 'agent', 1 from generate_series(1, 20) n"
    )
    repair.mark_all()
    clock = iter([0, 0.05, 1, 1.05, 2, 2.2, 3, 3.5, 4, 4.5, 5, 6])
    monkeypatch.setattr(batch, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    # two fast ones, one that is neither, and slow ones
    assert [done.mended for done in repair.mend(8)] == [1, 4, 8, 7]
    monkeypatch.undo()
    oracle.assert_exact()


def test_a_slow_batch_is_followed_by_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(batch, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    size = batch.Batch(50)
    size.size = 50
    sizes = []
    for _ in range(4):
        with size.timed():
            sizes.append(size.size)
    assert sizes == [50, 12, 3, 1]
