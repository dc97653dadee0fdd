"""Deleting threads: both layouts, the index and the audit log."""

import json

import pytest
from django.db import connection
from django_tenants.utils import schema_context

from memory.index import feed
from memory.index.threads import Filter, get_thread, list_threads
from memory.index.users import get_user, list_users
from memory.services import deletion
from memory.services.deletion import Deleted, delete_threads, matching, preview
from studio.models import Agent, AuditEvent
from tests.world import DANA, LAYOUTS, NOW, ODD_IDS, fails, run, session_ids, write_run, write_thread

TABLES = ("agno_sessions", "agno_runs", "memory_thread", "memory_participant", "memory_user", "memory_run")


def rows(agent: Agent, table: str) -> int:
    with schema_context(agent.schema_name), connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {table}")
        (count,) = cursor.fetchone()
        return int(count)


def last_event() -> AuditEvent:
    event = AuditEvent.objects.first()
    assert event is not None
    return event


# What goes, and what stays


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_layouts_rows_go_and_index_and_rollup_at_once(ada: Agent, layout: str) -> None:
    write_thread(ada, "gone", [run("g1"), run("g2", user_id="bob")], layout=layout, user_id="alice")
    write_thread(ada, "stays", [run("s1", at=NOW - 50)], layout=layout, user_id="alice", at=NOW - 60)
    done = delete_threads(DANA, ada, ["gone"])
    assert (done.threads, done.runs, done.messages) == (1, 2, 4)
    assert session_ids(ada) == {"stays"}
    left = 0 if layout == "column" else 1
    assert [rows(ada, table) for table in TABLES] == [1, left, 1, 1, 1, 2 if layout == "both" else 1]
    with schema_context(ada.schema_name):
        assert get_thread("gone") is None
        assert get_user("bob") is None
        alice = get_user("alice")
    assert alice is not None
    assert (alice["threads"], alice["runs"], alice["seen_at"]) == (1, 1, NOW - 50)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_preview_counts_exactly_what_a_deletion_then_removes(ada: Agent, layout: str) -> None:
    for n in range(3):
        runs = [run(f"r{n}-{k}", user_id=f"u{k}") for k in range(n + 1)]
        write_thread(ada, f"s{n}", runs, layout=layout, user_id="owner")
    size = preview(ada, ["s0", "s1", "no such thread"])
    in_table = 0 if layout == "column" else 3
    assert (size.threads, size.runs, size.messages, size.people, size.run_rows) == (2, 3, 6, 3, in_table)
    with schema_context(ada.schema_name):
        bytes_of = {row["session_id"]: get_thread(row["session_id"]) for row in list_threads(Filter()).rows}
    assert size.text_bytes == sum(t["text_bytes"] for s, t in bytes_of.items() if t and s in ("s0", "s1"))
    before = rows(ada, "agno_runs")
    done = delete_threads(DANA, ada, ["s0", "s1", "no such thread"])
    assert (done.threads, done.runs, done.messages) == (size.threads, size.runs, size.messages)
    assert before - rows(ada, "agno_runs") == size.run_rows
    assert last_event().data == {
        "counts": {"threads": 2, "runs": 3, "messages": 6, "tool_calls": 0, "errors": 0, "users": 3},
        "text_bytes": size.text_bytes,
        "rows": {"agno_sessions": 2, "agno_runs": in_table},
    }


@pytest.mark.parametrize("odd", ODD_IDS)
def test_any_id_is_deleted_and_only_that_one(ada: Agent, odd: str) -> None:
    write_thread(ada, odd, [run("r1")], layout="both", user_id=odd)
    write_thread(ada, "plain", [run("r2")], layout="both", user_id="plain")
    assert delete_threads(DANA, ada, [odd]).threads == 1
    assert session_ids(ada) == {"plain"}
    assert last_event().object == odd


def test_it_touches_one_agent_only(ada: Agent, bruno: Agent) -> None:
    write_thread(ada, "same")
    write_thread(bruno, "same")
    write_thread(bruno, "his")
    assert delete_threads(DANA, ada, ["same", "his"]).threads == 1
    assert (session_ids(ada), session_ids(bruno)) == (set(), {"same", "his"})
    assert preview(ada, ["same", "his"]).threads == 0


def test_a_thread_that_the_index_does_not_hold_is_deleted_too(ada: Agent) -> None:
    write_thread(ada, "late", [run("r1")], layout="table")
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("delete from memory_participant")
        cursor.execute("delete from memory_thread")
    assert preview(ada, ["late"]).threads == 1
    assert preview(ada, ["late"]).run_rows == 1
    assert delete_threads(DANA, ada, ["late"]).threads == 1
    assert rows(ada, "agno_runs") == 0


def test_what_an_agent_wrote_just_before_is_in_the_counts(ada: Agent) -> None:
    write_thread(ada, "s1", [run("r1")], layout="table")
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("update agno_runs set run_data = %s", [json.dumps(run("r1") | {"messages": []})])
    done = delete_threads(DANA, ada, ["s1"])
    assert (done.threads, done.runs, done.messages) == (1, 1, 0)
    assert [rows(ada, table) for table in TABLES] == [0] * len(TABLES)


def test_a_large_deletion_is_never_seen_half_done(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads are gone at once, and the first who reads takes them from its users, all together."""
    monkeypatch.setattr(feed, "READERS", 2)
    for n in range(5):
        write_thread(ada, f"s{n}", user_id="alice")
    write_thread(ada, "stays", user_id="alice")
    delete_threads(DANA, ada, [f"s{n}" for n in range(5)])
    with schema_context(ada.schema_name):
        assert feed.waiting() == 5
        page = list_threads(Filter(user_id="alice"), limit=1)
        assert ([row["session_id"] for row in page.rows], page.count, page.lag.behind) == (["stays"], 1, 0)
        (alice,) = list_users().rows
        assert (alice["threads"], alice["runs"]) == (1, 1)


def test_a_deletion_of_10000_and_what_follows_compare_no_thread_with_each_other(ada: Agent) -> None:
    """That would run into the time limits; what waits of others holds up nobody."""
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute(
            """
            insert into agno_sessions (session_id, session_type, user_id, created_at, runs)
            select 's' || n, 'agent', 'u' || n % 99, 1, jsonb_build_array('{"run_id": "a"}'::jsonb, '{"run_id": "b"}')
            from generate_series(1, 20000) n"""
        )
        feed.fold_all(600)
        delete_threads(DANA, ada, [f"s{n}" for n in range(10_000)])
        assert feed.waiting() == 9_999
        # nothing of these waits, so nothing is folded for them
        cursor.execute("set local statement_timeout = '2s'")
        feed.catch_up([f"s{n}" for n in range(10_000, 20_001)])
        assert feed.waiting() == 9_999
        feed.fold_some()
        assert feed.waiting() == 0
        cursor.execute("select count(*), (select sum(threads) from memory_user) from memory_run")
        assert cursor.fetchone() == (2 * 10_001, 10_001)


def test_all_that_match_are_found_and_capped(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(5):
        write_thread(ada, f"s{n}", [run(f"r{n}", status="ERROR" if n % 2 else "COMPLETED")])
    assert set(matching(ada, Filter(errors=True), content=True)) == {"s1", "s3"}
    monkeypatch.setattr(deletion, "MOST", 3)
    assert len(matching(ada, Filter(), content=True)) == 4
    with pytest.raises(deletion.TooMany):
        delete_threads(DANA, ada, ["a", "b", "c", "d"])


# Audit


def test_one_thread_is_audited_with_its_id_and_many_with_counts_only(ada: Agent) -> None:
    for name in ("secret-1", "secret-2", "secret-3"):
        write_thread(ada, name, user_id="private@example.com")
    done = delete_threads(DANA, ada, ["secret-1"], reason="asked by letter")
    event = last_event()
    assert (event.pk, event.action, event.agent_id, event.object) == (
        done.event_id,
        "threads.delete",
        ada.pk,
        "secret-1",
    )
    assert (event.actor, event.reason) == ("Dana Levi", "asked by letter")
    delete_threads(DANA, ada, ["secret-2", "secret-3"])
    event = last_event()
    assert event.object == ""
    assert "secret" not in json.dumps(event.data)
    assert "private" not in json.dumps(event.data)


def test_nothing_to_delete_is_no_error_and_no_event(ada: Agent) -> None:
    before = AuditEvent.objects.count()
    assert delete_threads(DANA, ada, ["no such thread"]) == Deleted(0, 0, 0, None)
    assert delete_threads(DANA, ada, []) == Deleted(0, 0, 0, None)
    assert AuditEvent.objects.count() == before


def test_without_its_audit_row_nothing_is_deleted(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    write_thread(ada, "s1", [run("r1")], layout="both")

    monkeypatch.setattr("memory.services.deletion.record", fails(RuntimeError("disk full")))
    with pytest.raises(RuntimeError):
        delete_threads(DANA, ada, ["s1"])
    assert session_ids(ada) == {"s1"}
    assert (rows(ada, "agno_runs"), rows(ada, "memory_tombstone")) == (1, 0)


# Deleted stays deleted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_upsert_of_an_old_run_does_not_bring_it_back(ada: Agent, layout: str) -> None:
    write_thread(ada, "s1", [run("r1")], layout=layout, at=NOW - 5)
    delete_threads(DANA, ada, ["s1"])
    write_thread(ada, "s1", [run("r1")], layout="column", at=NOW - 5)
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("select count(*) from agno_sessions")
        assert cursor.fetchone() == (0,)
    write_run(ada, "s1", run("r2", at=NOW - 5))
    assert rows(ada, "agno_runs") == 0


def test_ten_thousand_threads_go_in_one_transaction(ada: Agent) -> None:
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute(
            "insert into agno_sessions (session_id, session_type, user_id, created_at)"
            " select 's' || n, 'agent', 'u' || n %% 500, %s from generate_series(1, 10000) n",
            [NOW],
        )
        feed.fold_all(600)
    assert rows(ada, "memory_user") == 500
    assert delete_threads(DANA, ada, matching(ada, Filter(), content=True)).threads == 10_000
    assert session_ids(ada) == set()
    with schema_context(ada.schema_name):
        feed.fold_all()
    assert [rows(ada, table) for table in TABLES] == [0] * len(TABLES)
    with schema_context(ada.schema_name):
        assert list_users().rows == []
