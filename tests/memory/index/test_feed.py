"""The feed of writes: agents add to it, and whoever reads or keeps the studio up folds it into the index."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context

from memory.index import feed, repair
from memory.index.threads import Filter, get_thread, list_threads
from memory.index.users import get_user, list_users
from memory.services import export, upkeep
from memory.services.deletion import delete_threads, matching, preview
from memory.transcript import stored
from memory.transcript.runs import list_runs
from studio import ids
from studio.models import Agent
from tests.calls import Api
from tests.memory.index import oracle
from tests.memory.index.beside import FOLDING, Other, fold, held, other, write, write_run
from tests.reading import text
from tests.world import DANA, NOW, SYSTEM, person, run, signed_in, sql, write_thread

INDEX = ("memory_thread", "memory_run", "memory_participant", "memory_user", "memory_backlog")


def counts(session: Other | None = None) -> dict[str, int]:
    """The rows of each table of the index."""
    query = "select " + ", ".join(f"(select count(*) from {table})" for table in INDEX)
    (row,) = session.execute(query).fetchall() if session else sql(query)
    return dict(zip(INDEX, row, strict=True))


# An agent's write


FAULTS = {
    "renamed away": ("alter table memory_feed rename to gone", "alter table gone rename to memory_feed"),
    "a column gone": (
        "alter table memory_feed rename column run_id to gone",
        "alter table memory_feed rename column gone to run_id",
    ),
    "refusing": (
        "alter table memory_feed add constraint no check (false)",
        "alter table memory_feed drop constraint no",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_write_that_cannot_be_noted_commits_and_is_counted_later(shared: Agent, writer: Other, fault: str) -> None:
    breaks, mends = FAULTS[fault]
    writer.execute(breaks)
    write(writer, "column", "a", "b")
    write(writer, "table")
    write_run(writer, "table", "c", user_id="bob")
    writer.execute("update agno_runs set status = 'ERROR'")
    writer.execute("delete from agno_runs where run_id = 'nobody'")
    write(writer, "gone", "d")
    writer.execute("delete from agno_sessions where session_id = 'gone'")
    assert writer.execute("select session_id from agno_sessions order by 1").fetchall() == [("column",), ("table",)]
    writer.execute(mends)
    upkeep.fold_feeds()
    assert writer.execute(repair._MISSED).fetchall() == []
    oracle.assert_exact()
    assert counts(writer) | {"memory_user": 2} == dict(zip(INDEX, (2, 3, 3, 2, 0), strict=True))


def test_without_the_feed_and_its_sequence_a_write_commits_too(shared: Agent, writer: Other) -> None:
    writer.execute("alter table memory_feed rename to gone")
    writer.execute("alter sequence memory_missed rename to gone_too")
    write(writer, "t", "a")
    writer.execute("alter table gone rename to memory_feed")
    writer.execute("alter sequence gone_too rename to memory_missed")
    repair.mark_all()
    list(repair.mend())
    oracle.assert_exact()
    assert counts(writer)["memory_thread"] == 1


def test_a_locked_feed_holds_up_no_writer_and_nothing_is_lost(shared: Agent, writer: Other) -> None:
    """The writer gives up the lock long before its own lock_timeout, and may have none."""
    writer.execute("set lock_timeout = 0")
    with held(shared.schema_name, "lock table memory_feed in access exclusive mode"):
        # the lock is held until the end of the block: without the function's own timeout this would never return
        writer.execute("set statement_timeout = '5s'")
        write(writer, "t", "a")
        assert writer.execute("select count(*) from agno_sessions").fetchone() == (1,)
    assert counts(writer)["memory_thread"] == 0
    upkeep.fold_feeds()
    oracle.assert_exact()
    assert counts(writer)["memory_thread"] == 1


def test_a_missed_write_that_is_still_in_flight_is_not_forgotten(shared: Agent, writer: Other) -> None:
    """Whoever counts all threads meanwhile does not see it."""
    with other(shared.schema_name) as slow, slow.transaction():
        with held(shared.schema_name, "lock table memory_feed in access exclusive mode"):
            write(slow, "t", "a")
        for _ in range(2):
            upkeep.fold_feeds()
        assert writer.execute(repair._MISSED).fetchall() != []
    upkeep.fold_feeds()
    assert writer.execute(repair._MISSED).fetchall() == []
    oracle.assert_exact()
    assert counts(writer)["memory_thread"] == 1


def test_threads_are_marked_once_for_a_missed_write_in_flight(
    shared: Agent, writer: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[int] = []
    monkeypatch.setattr(repair, "mark_all", lambda: marked.append(1))
    with other(shared.schema_name) as slow, slow.transaction():
        with held(shared.schema_name, "lock table memory_feed in access exclusive mode"):
            write(slow, "t", "a")
        for _ in range(3):
            upkeep.fold_feeds()
        assert len(marked) == 1
    for _ in range(2):
        upkeep.fold_feeds()
    assert len(marked) == 2


def test_a_missed_write_that_is_prepared_and_commits_later_is_counted(shared: Agent, writer: Other) -> None:
    writer.execute("begin")
    with held(shared.schema_name, "lock table memory_feed in access exclusive mode"):
        write(writer, "t", "a")
    upkeep.fold_feeds()
    writer.execute("prepare transaction 'later'")
    upkeep.fold_feeds()
    writer.execute("commit prepared 'later'")
    upkeep.fold_feeds()
    assert counts(writer)["memory_thread"] == 1
    oracle.assert_exact()


def test_threads_are_marked_once_while_they_are_counted_though_more_is_missed(
    shared: Agent, writer: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the newest would be counted again and again, and others never."""
    marked: list[int] = []
    mark_all = repair.mark_all
    monkeypatch.setattr(repair, "mark_all", lambda: marked.append(mark_all()))
    with monkeypatch.context() as patch, other(shared.schema_name) as slow, slow.transaction():
        patch.setattr(repair, "mend", lambda **_: iter(()))
        writer.execute("alter table memory_feed rename to gone")
        write(slow, "slow")
        for n in range(3):
            write(writer, f"t{n}", "a")
            repair.mark_missed()
        assert len(marked) == 1
        writer.execute("alter table gone rename to memory_feed")
    for _ in range(2):
        upkeep.fold_feeds()
    assert (len(marked), writer.execute(repair._MISSED).fetchall()) == (2, [])
    oracle.assert_exact()


def test_a_sequence_that_is_made_anew_costs_one_count(
    shared: Agent, writer: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(shared.schema_name, "lock table memory_feed in access exclusive mode"):
        write(writer, "t", "a")
    upkeep.fold_feeds()
    writer.execute("drop sequence memory_missed")
    writer.execute("create sequence memory_missed")
    marked: list[int] = []
    monkeypatch.setattr(repair, "mark_all", lambda: marked.append(1))
    for _ in range(3):
        upkeep.fold_feeds()
    assert len(marked) == 1


def test_a_missed_write_does_not_wait_for_transactions_that_missed_none(shared: Agent, writer: Other) -> None:
    with other(shared.schema_name) as busy, busy.transaction():
        busy.execute("select pg_current_xact_id(), count(*) from agno_sessions")
        with held(shared.schema_name, "lock table memory_feed in access exclusive mode"):
            write(writer, "t", "a")
        upkeep.fold_feeds()
        assert writer.execute(repair._MISSED).fetchall() == []


def test_a_missed_write_is_not_forgotten_if_it_cannot_be_marked(
    shared: Agent, writer: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(shared.schema_name, "lock table memory_feed in access exclusive mode"):
        write(writer, "t", "a")
    with monkeypatch.context() as patch:
        patch.setattr(repair, "_ALL", "select 1 / 0")
        upkeep.fold_feeds()
    assert counts(writer)["memory_thread"] == 0
    upkeep.fold_feeds()
    oracle.assert_exact()
    assert counts(writer)["memory_thread"] == 1


def test_a_missed_write_that_is_rolled_back_costs_a_count_and_nothing_else(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a")
    writer.execute("alter table memory_feed rename to gone")
    with writer.transaction(force_rollback=True):
        write(writer, "never", "b")
    writer.execute("alter table gone rename to memory_feed")
    upkeep.fold_feeds()
    oracle.assert_exact()
    assert counts(writer)["memory_thread"] == 1


def test_a_write_adds_to_the_feed_and_to_no_other_table(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a")
    write_run(writer, "t", "b")
    fold(writer)
    before = written(writer)
    write(writer, "t", "a", "c")
    write(writer, "new", "x")
    write_run(writer, "t", "d")
    writer.execute("update agno_runs set status = 'ERROR' where run_id = 'b'")
    writer.execute("delete from agno_runs where run_id = 'b'")
    assert written(writer) - before == Counter({"memory_feed": 5})


def written(session: Other) -> Counter[str]:
    """How many rows of each of our tables the session has added, changed and removed."""
    read = """
        select relname, pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid)
            + pg_stat_get_tuples_deleted(oid)
        from pg_class
        where relkind = 'r' and relname like 'memory%' and relnamespace = current_schema()::regnamespace"""
    # what it has done is known to others when it ends a statement some time later, or is asked to say so
    session.execute("select pg_stat_force_next_flush()")
    return Counter(dict(session.execute(read).fetchall()))


def test_what_is_rolled_back_leaves_nothing_to_fold(shared: Agent, writer: Other) -> None:
    with writer.transaction(force_rollback=True):
        write(writer, "t", "a")
    assert feed.waiting() == 0


# What a fold does


def changed_runs(work: Any) -> set[tuple[Any, ...]]:
    """The rows of memory_run that are written while the work is done."""
    read = "select session_id, key, ctid::text from memory_run"
    before = set(sql(read))
    work()
    return set(sql(read)) - before


def count_facts() -> Any:
    """Count from now on how many runs are opened, and return a function that tells and begins anew."""
    sql("create sequence opened")
    sql("alter function memory_facts rename to memory_facts_of")
    sql("""
        create function memory_facts(run jsonb)
        returns table (messages integer, tool_calls integer, tool_errors integer, text_bytes bigint,
                       input_tokens bigint, output_tokens bigint, inside jsonb) language plpgsql as $$
        begin
            perform nextval('opened');
            return query select * from memory_facts_of(run);
        end $$""")

    def opened() -> int:
        (times,) = sql("select last_value from opened where is_called") or [(0,)]
        sql("select setval('opened', 1, false)")
        return int(times[0])

    return opened


def long_thread(layout: str, runs: int) -> None:
    one = """jsonb_build_object('run_id', 'r' || n, 'created_at', 1700000000 + n, 'content', 'answer', 'messages',
        jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'question ' || n)))"""
    session = """
        insert into agno_sessions (session_id, session_type, user_id, created_at, runs)
        values ('long', 'agent', 'ann', 1, {})"""
    if layout == "column":
        sql(session.format(f"(select jsonb_agg({one} order by n) from generate_series(1, {runs}) n)"))
        return
    sql(session.format("null"))
    sql(f"""
        insert into agno_runs (run_id, session_id, run_type, run_index, run_data, created_at)
        select 'r' || n, 'long', 'agent', n, {one}, 1700000000 + n from generate_series(1, {runs}) n""")


def one_turn(layout: str) -> None:
    """Write a turn as Agno does: in the column all runs are written, in the table one, and the session."""
    item = json.dumps(run("next", at=1700009999))
    if layout == "column":
        sql("update agno_sessions set runs = runs || %s::jsonb, updated_at = 9 where session_id = 'long'", item)
        return
    sql("update agno_sessions set updated_at = 9 where session_id = 'long'")
    sql(
        "insert into agno_runs (run_id, session_id, run_type, run_index, run_data, created_at)"
        " values ('next', 'long', 'agent', 9999, %s, 1700009999)",
        item,
    )


def plan_for_an_empty_index(analyze: Callable[..., None]) -> None:
    """Have this connection keep plans of a fold that were made when there was hardly a thread."""
    analyze(*INDEX, "memory_feed", "agno_runs", "agno_sessions")
    sql("discard plans")
    sql("insert into agno_sessions (session_id, session_type, created_at) values ('first', 'agent', 1)")
    feed.fold_all()


@pytest.mark.parametrize("layout", ["column", "table"])
def test_a_turn_of_a_thread_of_5000_runs_counts_one_run(here: Agent, analyze: Callable[..., None], layout: str) -> None:
    """Whatever plans the connection has: a plan that pairs runs with runs would run into the time limit."""
    plan_for_an_empty_index(analyze)
    long_thread(layout, 5000)
    feed.fold_all(60)
    opened = count_facts()
    one_turn(layout)
    assert len(changed_runs(feed.fold_all)) == 1
    assert opened() == 1
    assert sql("select runs, messages from memory_thread where session_id = 'long'") == [(5001, 5002)]


@pytest.mark.parametrize("layout", ["column", "table"])
def test_a_session_that_is_saved_without_a_turn_counts_no_run(here: Agent, layout: str) -> None:
    long_thread(layout, 50)
    feed.fold_all(60)
    opened = count_facts()
    sql('update agno_sessions set session_data = \'{"session_name": "New"}\', updated_at = 7')
    assert changed_runs(feed.fold_all) == set()
    assert opened() == 0
    assert sql("select name, runs, last_at from memory_thread") == [("New", 50, 7)]


def test_a_turn_reads_no_run_of_the_table_but_its_own(here: Agent) -> None:
    long_thread("table", 300)
    feed.fold_all(60)
    one_turn("table")
    read = """
        select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) from pg_stat_xact_user_tables
        where relid = 'agno_runs'::regclass"""
    before = sql(read)[0][0]
    feed.fold_all()
    assert sql(read)[0][0] - before <= 6


def large_run(megabytes: int) -> None:
    """Write a run that does not compress well."""
    sql("insert into agno_sessions (session_id, session_type, created_at) values ('large', 'agent', 1)")
    feed.fold_all()
    sql(
        """
        insert into agno_runs (run_id, session_id, run_type, run_data, created_at)
        select 'large', 'large', 'agent', jsonb_build_object('run_id', 'large', 'messages', jsonb_agg(m)), 1 from (
            select jsonb_build_object('role', 'user', 'content', string_agg(md5(n::text || k), '')) as m
            from generate_series(1, %s) k, generate_series(1, 32768) n group by k) m""",
        megabytes,
    )


def test_a_reader_leaves_a_large_run_to_the_upkeep_and_says_so(here: Agent) -> None:
    large_run(50)
    sql("insert into agno_sessions (session_id, session_type, created_at) values ('small', 'agent', 2)")
    opened = count_facts()
    page = list_threads(Filter())
    assert [row["session_id"] for row in page.rows] == ["small", "large"]
    assert page.lag.behind > 0
    assert opened() == 0
    assert sql("select messages from memory_thread where session_id = 'large'") == [(0,)]
    upkeep.fold_feeds()
    assert opened() == 1
    oracle.assert_exact()
    page = list_threads(Filter())
    assert (page.lag.behind, page.rows[1]["messages"]) == (0, 50)


def test_a_reader_counts_few_of_many_middling_runs(here: Agent) -> None:
    """Each of them is small enough, all together are not."""
    large_run(1)
    feed.fold_all()
    for n in range(12):
        sql(
            "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
            " select %s, 'large', 'agent', jsonb_build_object('messages', jsonb_build_array("
            " (run_data #>> '{messages,0,content}')::varchar(700000))), 1 from agno_runs where run_id = 'large'",
            f"middling {n}",
        )
    before = feed.waiting()
    assert list_threads(Filter()).lag.behind > 0
    assert 0 < before - feed.waiting() <= 6
    feed.fold_all()
    oracle.assert_exact()


def test_a_thread_that_cannot_be_counted_makes_no_other_stale(here: Agent) -> None:
    sql("alter table memory_thread add constraint fault check (session_id <> 'bad') not valid")
    for name in ("bad", "good"):
        sql("insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', 1)", name)
    page = list_threads(Filter())
    assert ([row["session_id"] for row in page.rows], page.lag.behind) == (["good"], 0)
    sql("update agno_sessions set updated_at = 5")
    page = list_threads(Filter())
    assert ([row["last_at"] for row in page.rows], page.lag.behind) == ([5], 0)
    unindexed = get_thread("bad")
    assert unindexed is not None
    assert unindexed["indexed"] is False


# What a reader sees


def shown(path: str) -> str:
    """What a page says; a request ends in another schema than it began."""
    with schema_context("public"):
        return text(signed_in(person("admin")).get(path))


def told(path: str) -> Any:
    """What the API answers."""
    with schema_context("public"):
        return Api.with_key().get(path)


def test_every_reader_sees_what_was_written_just_before(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a", user_id="ann")
    assert [row["session_id"] for row in list_threads(Filter()).rows] == ["t"]
    write_run(writer, "t", "b", user_id="bob")
    assert {row["user_id"] for row in list_users().rows} == {"ann", "bob"}
    write_run(writer, "t", "c", user_id="cid")
    cid = get_user("cid")
    assert cid is not None
    assert cid["runs"] == 1
    write_run(writer, "t", "d", user_id="cid")
    thread = get_thread("t")
    assert thread is not None
    assert thread["runs"] == 4
    write_run(writer, "t", "e", user_id="cid")
    page = list_threads(Filter(user_id="cid"))
    assert page.user is not None
    assert page.user["runs"] == 3
    writer.execute("delete from agno_sessions")
    assert list_threads(Filter()).rows == []
    assert list_users().rows == []


def test_a_list_that_may_not_fold_answers_at_once_and_says_how_old_it_is(shared: Agent, writer: Other) -> None:
    write(writer, "old", "a")
    fold(writer)
    write(writer, "new", "b")
    with held(shared.schema_name, FOLDING):
        (row,) = list_threads(Filter()).rows
        assert row["session_id"] == "old"
        assert list_threads(Filter()).lag.behind > 0
        assert list_users().lag.behind > 0
        assert "As of" in shown("/agents/agt-shared/threads/")
        assert "As of" in shown("/agents/agt-shared/users/")
        assert told("agents/agt-shared/threads")["behind"] > 0
        with pytest.raises(feed.Behind):
            matching(shared, Filter(), content=True)
    assert "As of" not in shown("/agents/agt-shared/threads/")
    assert told("agents/agt-shared/threads")["behind"] == 0
    assert len(list_threads(Filter()).rows) == 2


def test_a_reader_asks_nothing_more_when_nothing_waits(here: Agent) -> None:
    write_thread(here, "t")
    reads = {
        "threads": (lambda: list_threads(Filter()), 1),
        "a user's threads": (lambda: list_threads(Filter(user_id="alice@example.com")), 1),
        "users": (list_users, 1),
        "a user": (lambda: get_user("alice@example.com"), 1),
        "a thread": (lambda: get_thread("t"), 1),
    }
    # the first statement in another schema goes with one that names it
    sql("select 1")
    for name, (read, most) in reads.items():
        with CaptureQueriesContext(connection) as asked:
            read()
        assert (name, len(asked)) == (name, most)


def test_a_reader_of_a_list_with_writes_folds_once_and_reads_again(here: Agent) -> None:
    write_thread(here, "t")
    sql("update agno_sessions set updated_at = 5")
    with CaptureQueriesContext(connection) as asked:
        list_threads(Filter())
    assert [("memory_fold" in query["sql"], "page" in query["sql"]) for query in asked] == [
        (False, True),
        (True, False),
        (False, True),
    ]


# What the tables allow


def test_every_table_of_the_index_can_be_replicated(here: Agent) -> None:
    found = sql(
        "select c.relname, c.relreplident::text,"
        " exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) from pg_class c"
        " where c.relkind = 'r' and c.relname like 'memory%%' and c.relnamespace = %s::regnamespace",
        here.schema_name,
    )
    assert len(found) >= 8
    assert [name for name, identity, has_key in found if identity != "f" and not has_key] == []
    assert {name: identity for name, identity, _ in found}["memory_feed"] == "f"


def test_vacuum_never_cuts_the_feed_because_that_locks_out_writers(here: Agent) -> None:
    ((options,),) = sql("select reloptions from pg_class where oid = 'memory_feed'::regclass")
    assert {"vacuum_truncate=off", "vacuum_truncate=false"} & set(options)


JSON = "alter table agno_sessions alter column runs type json using runs::json"
JSONB = "alter table agno_sessions alter column runs type jsonb using runs::jsonb"
DROP = "alter table agno_sessions drop column runs"


@pytest.mark.parametrize("changes", [[DROP], [JSON, DROP], [JSON, JSONB, DROP], [JSON, JSONB]], ids=str)
def test_agno_may_change_and_drop_the_column_of_runs(shared: Agent, writer: Other, changes: list[str]) -> None:
    write(writer, "moved", "a", "b")
    write(writer, "table")
    write_run(writer, "table", "c")
    fold(writer)
    for n, change in enumerate(changes):
        # one is written before each change and counted after it
        write(writer, "column", f"x{n}") if n == 0 or change != DROP else None
        writer.execute(change)
        write_run(writer, "table", f"d{n}")
        writer.execute("update agno_sessions set updated_at = %s", [NOW + n])
        assert [row["session_id"] for row in list_threads(Filter()).rows] == ["table", "moved", "column"]
        assert repair.differences(repair.thread_ids(None, 50)) == []
        assert repair.backlog() == 0
        for session_id in ("moved", "table"):
            thread = get_thread(session_id)
            assert thread is not None
            in_column = 2 if session_id == "moved" and change != DROP else 0
            assert thread["runs"] == (in_column if session_id == "moved" else n + 2)
            runs, _ = stored.read(thread, None, False, 20)
            assert len(runs) == thread["runs"]
            exported = export.export_thread(SYSTEM, shared, session_id)
            assert exported is not None
            assert len(json.loads("".join(exported))["runs"]) == thread["runs"]
    writer.execute("update agno_sessions set updated_at = null")
    assert preview(shared, ["moved", "table"]).threads == 2
    assert delete_threads(DANA, shared, ["moved", "table"]).threads == 2
    assert [row["session_id"] for row in list_threads(Filter()).rows] == ["column"]


# The upkeep


BROKEN = {
    "without a feed": ("alter table memory_feed rename to gone", "alter table gone rename to memory_feed"),
    "without a schema": ("alter schema {schema} rename to gone", "alter schema gone rename to {schema}"),
    "a fold that fails": ("alter function memory_fold rename to gone", "alter function gone rename to memory_fold"),
}


@contextmanager
def broken(agent: Agent, how: str) -> Iterator[None]:
    with other(agent.schema_name) as session:
        breaks, mends = (statement.format(schema=agent.schema_name) for statement in BROKEN[how])
        session.execute(breaks)
        try:
            yield
        finally:
            session.execute(mends)


@pytest.mark.parametrize("how", BROKEN)
def test_the_upkeep_goes_on_beside_a_broken_agent(shared: Agent, writer: Other, bruno_beside: Agent, how: str) -> None:
    write(writer, "t", "a")
    with broken(bruno_beside, how):
        upkeep.fold_feeds()
        assert counts(writer)["memory_thread"] == 1
        write(writer, "u", "b")
        upkeep.tidy_up()
        upkeep.fold_feeds()
    assert counts(writer)["memory_thread"] == 2


@pytest.fixture
def bruno_beside(shared: Agent) -> Iterator[Agent]:
    """Bruno's agent with a write that waits; it comes before Shared in every round."""
    agent = Agent.objects.get(pk="agt-bruno")
    with other(agent.schema_name) as session:
        write(session, "waits", "w")
        yield agent
        session.execute("delete from agno_sessions")
        fold(session)
        session.execute("delete from memory_tombstone")


def test_the_upkeep_goes_on_beside_an_agent_whose_feed_is_locked(
    shared: Agent, writer: Other, bruno_beside: Agent
) -> None:
    write(writer, "t", "a")
    with held(bruno_beside.schema_name, "lock table memory_feed in access exclusive mode"):
        sql("set lock_timeout = '50ms'")
        try:
            upkeep.fold_feeds()
        finally:
            sql("set lock_timeout = '2500ms'")
    assert counts(writer)["memory_thread"] == 1


def test_a_fault_is_logged_once_and_again_when_it_changes(
    shared: Agent, writer: Other, caplog: pytest.LogCaptureFixture
) -> None:
    def rounds() -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="studio"):
            for _ in range(3):
                upkeep.fold_feeds()
        return [record.getMessage() for record in caplog.records if shared.schema_name in record.getMessage()]

    write(writer, "t", "a")
    writer.execute("alter function memory_fold rename to gone")
    assert len(rounds()) == 1
    writer.execute("alter function gone rename to memory_fold")
    assert rounds() == []
    write(writer, "t", "b")
    writer.execute("alter function memory_fold rename to gone")
    assert len(rounds()) == 1


def test_an_agent_with_much_to_count_keeps_the_others_waiting_for_a_turn_only(
    shared: Agent, writer: Other, bruno_beside: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TURN", 0)
    for agent in (shared, bruno_beside):
        with other(agent.schema_name) as session:
            session.execute(
                "insert into agno_sessions (session_id, session_type, created_at)"
                " select 's' || n, 'agent', 1 from generate_series(1, 20) n"
            )
    turns: list[str] = []
    real = upkeep._in_schema
    monkeypatch.setattr(upkeep, "_in_schema", lambda schema, work: (turns.append(schema), real(schema, work))[1])
    upkeep.fold_feeds()
    assert set(turns) == {shared.schema_name, bruno_beside.schema_name}
    assert len(turns) == 2
    with schema_context(shared.schema_name):
        assert feed.waiting() == 20
    monkeypatch.setattr(upkeep, "TURN", 5)
    upkeep.fold_feeds()
    assert feed.waiting() == 0


def test_the_backlog_goes_on_beside_an_agent_that_never_stops_writing(
    shared: Agent, writer: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(writer, "t")
    with schema_context(shared.schema_name):
        repair.mark_all()
    # the feed has taken all of the turn
    monkeypatch.setattr(upkeep, "TURN", 0)
    upkeep.fold_feeds()
    with schema_context(shared.schema_name):
        assert repair.backlog() == 0


# Deleting


def test_a_deletion_counts_what_was_written_just_before(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a")
    assert preview(shared, ["t"]).runs == 1
    write_run(writer, "t", "b", user_id="bob")
    size = preview(shared, ["t"])
    assert (size.runs, size.people) == (2, 2)
    write_run(writer, "t", "c", user_id="cid", status="ERROR")
    assert matching(shared, Filter(errors=True), content=True) == []
    writer.execute("update agno_runs set status = 'ERROR' where run_id = 'c'")
    assert matching(shared, Filter(errors=True), content=True) == ["t"]
    write_run(writer, "t", "d")
    assert delete_threads(DANA, shared, ["t"]).runs == 4


def threads_of_three(writer: Other, number: int) -> list[str]:
    """Write threads of three users, and one that stays; return the ids of the others."""
    writer.execute(
        "insert into agno_sessions (session_id, session_type, user_id, created_at)"
        " select 's' || n, 'agent', 'u' || n %% 3, %s from generate_series(0, %s) n",
        [NOW, number],
    )
    fold(writer)
    return [f"s{n}" for n in range(1, number + 1)]


def test_half_of_a_large_deletion_is_shown_nowhere(shared: Agent, writer: Other) -> None:
    ids = threads_of_three(writer, 600)
    assert delete_threads(DANA, shared, ids).threads == 600
    assert [(row["user_id"], row["threads"]) for row in list_users().rows] == [("u0", 1)]
    assert "As of" not in shown("/agents/agt-shared/users/")
    assert told("agents/agt-shared/threads")["total"] == 1
    oracle.assert_exact()


def test_one_round_of_upkeep_does_the_rest_of_a_deletion(shared: Agent, writer: Other) -> None:
    delete_threads(DANA, shared, threads_of_three(writer, 600))
    assert counts(writer)["memory_participant"] == 601
    upkeep.fold_feeds()
    oracle.assert_exact()


def test_of_more_than_a_deletion_may_have_a_reader_says_how_old_its_answer_is(shared: Agent, writer: Other) -> None:
    """Only somebody with a program of their own deletes so many at once."""
    threads_of_three(writer, 10_001)
    writer.execute("delete from agno_sessions where session_id <> 's0'")
    assert "As of" in shown("/agents/agt-shared/users/")
    assert feed.waiting() == 10_001
    assert sum(feed.fold()) == 10_001
    oracle.assert_exact()
    assert "As of" not in shown("/agents/agt-shared/users/")


def test_a_reader_waits_for_nobody_and_keeps_its_connection(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a")
    (before,) = sql("select pg_backend_pid()")
    with held(shared.schema_name, FOLDING):
        assert list_threads(Filter()).lag.behind > 0
    connection.close_if_unusable_or_obsolete()
    assert sql("select pg_backend_pid()") == [before]


def test_a_transcript_is_read_where_its_runs_are_though_the_index_is_behind(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a", "b")
    fold(writer)
    writer.execute("update agno_sessions set runs = null")
    write_run(writer, "t", "c")
    with held(shared.schema_name, FOLDING):
        thread = get_thread("t")
        assert thread is not None
        assert [stored.run_id for stored in list_runs(thread).runs] == ["c"]
        assert told(f"agents/agt-shared/threads/{ids.encode('t')}")["behind"] > 0
        assert "As of" in shown(f"/agents/agt-shared/threads/{ids.encode('t')}/")
    assert told(f"agents/agt-shared/threads/{ids.encode('t')}")["behind"] == 0


def test_a_reader_reads_where_nothing_can_be_written(shared: Agent, writer: Other) -> None:
    write(writer, "t", "a")
    fold(writer)
    write(writer, "t", "a", "b")
    sql("set default_transaction_read_only = on")
    try:
        page = list_threads(Filter())
    finally:
        sql("set default_transaction_read_only = off")
    assert ([row["runs"] for row in page.rows], page.lag.behind > 0) == ([1], True)
    assert [row["runs"] for row in list_threads(Filter()).rows] == [2]


def test_the_upkeep_has_all_the_time_it_needs(shared: Agent, writer: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut off begins anew, and would be cut off at the same place."""
    seen = []
    monkeypatch.setattr(repair, "mark_missed", lambda: seen.append(sql("show statement_timeout")))
    write(writer, "t", "a")
    upkeep.fold_feeds()
    assert seen == [[("0",)]]
    assert sql("show statement_timeout") != [("0",)]


@pytest.mark.parametrize("layout", ["column", "table"])
def test_a_fold_reads_the_threads_that_were_written_and_no_others(
    ada: Agent, analyze: Callable[..., None], layout: str
) -> None:
    """Also with a plan that was made when the index was empty, as a connection keeps it."""
    with schema_context(ada.schema_name):
        plan_for_an_empty_index(analyze)
        sql(
            "insert into agno_sessions (session_id, session_type, created_at) select 'o' || n, '', 1"
            " from generate_series(1, 3000) n"
        )
        sql(
            "insert into agno_runs (run_id, session_id, run_type, run_data, created_at)"
            " select 'o' || n, 'o' || n, '', '{}', 1 from generate_series(1, 3000) n"
        )
        feed.fold_all(60)
        before = rows_read()
        write_thread(ada, "second", layout=layout)
        feed.fold_all()
        assert {table: number for table, number in (rows_read() - before).items() if number > 100} == {}


def rows_read() -> Counter[str]:
    """The rows that this transaction has read, of each table of the schema but the feed."""
    return Counter(
        dict(
            sql("""
                select relname, coalesce(idx_tup_fetch, 0) + seq_tup_read from pg_stat_xact_user_tables
                where schemaname = current_schema() and relname <> 'memory_feed'""")
        )
    )
