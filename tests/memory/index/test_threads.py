"""Lists of threads, over runs in the column, in the table, and in both."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context
from psycopg import sql

from memory import query
from memory.index import threads
from memory.index.paging import Cursor
from memory.index.threads import Filter, get_thread, list_threads, matching_ids
from studio.models import Agent
from tests.world import NOW, ODD_IDS, message, run, write_thread

Write = Callable[..., None]


@pytest.fixture
def write(ada: Agent, here: None, layout: str) -> Write:
    def write(session_id: str, runs: list[Any] | None = None, **more: Any) -> None:
        write_thread(ada, session_id, runs, layout=layout, **more)

    return write


@pytest.fixture
def write_one(ada: Agent, here: None) -> Write:
    """Write threads where the layout cannot matter."""

    def write(session_id: str, runs: list[Any] | None = None, **more: Any) -> None:
        write_thread(ada, session_id, runs, **more)

    return write


EVERYTHING = Filter()


def ids(filter: Filter = EVERYTHING, **more: Any) -> list[str]:
    return [row["session_id"] for row in list_threads(filter, **more).rows]


# A row


def test_a_row_tells_about_its_thread(write: Write) -> None:
    runs = [
        run("r1", "Where is my parcel?", "On its way.", at=NOW - 60),
        run(
            "r2",
            "And now?",
            "It is here.",
            at=NOW,
            status="ERROR",
            user_id="bob@example.com",
            messages=[
                message("system", "Be kind"),
                message("user", "And now?"),
                message("assistant", "", tool_calls=[{"id": "c1", "function": {"name": "track"}}]),
                message("tool", "here", tool_call_id="c1"),
                message("assistant", "It is here."),
            ],
        ),
    ]
    write("s1", runs, user_id="alice@example.com", at=NOW - 100)
    (row,) = list_threads(Filter()).rows
    expected = {
        "session_id": "s1",
        "title": "Where is my parcel?",
        "name": None,
        "session_type": "agent",
        "user_id": "alice@example.com",
        "users": ["alice@example.com", "bob@example.com"],
        "users_count": 2,
        "shared": True,
        "runs": 2,
        "messages": 6,
        "tool_calls": 1,
        "errors": 1,
        "tokens": 30,
        "input_tokens": 20,
        "output_tokens": 10,
        "last_status": "ERROR",
        "last_text": "It is here.",
        "created_at": NOW - 100,
        "updated_at": NOW - 100,
        "last_at": NOW - 100,
    }
    assert {name: row[name] for name in expected} == expected


def test_a_title_is_the_name_else_the_first_message_else_the_id(write: Write) -> None:
    write("named", session_data={"session_name": "Parcel A-17"})
    write("talked", [run("t1", "Where is it?")])
    write("silent", [])
    assert {row["session_id"]: row["title"] for row in list_threads(Filter()).rows} == {
        "named": "Parcel A-17",
        "talked": "Where is it?",
        "silent": "silent",
    }


def test_without_content_titles_are_names_or_ids_and_nothing_is_previewed(write: Write) -> None:
    write("named", session_data={"session_name": "Parcel A-17"})
    write("talked", [run("t1", "My secret", "Your secret")])
    rows = list_threads(Filter(), content=False).rows
    assert {row["session_id"]: row["title"] for row in rows} == {"named": "Parcel A-17", "talked": "talked"}
    assert "secret" not in str(rows)
    assert "secret" not in str(get_thread("talked", content=False))


def test_a_blank_id_still_has_a_title(write_one: Write) -> None:
    write_one(" \n", [])
    assert list_threads(Filter()).rows[0]["title"] == "(blank id)"


def test_three_users_are_named_the_owner_first_and_all_are_counted(write: Write) -> None:
    runs = [run(f"r{n}", at=NOW + n, user_id=f"user{n}") for n in range(5)]
    write("s1", runs, user_id="owner")
    (row,) = list_threads(Filter()).rows
    assert (row["users"], row["users_count"]) == (["owner", "user0", "user1"], 6)


def test_a_thread_without_a_user_has_none(write: Write) -> None:
    write("s1", user_id=None)
    (row,) = list_threads(Filter()).rows
    assert (row["user_id"], row["users"], row["users_count"], row["shared"]) == (None, [], 0, False)


def test_a_list_is_one_statement_whatever_is_asked(write_one: Write) -> None:
    for n in range(5):
        write_one(f"s{n}", at=NOW + n)
    for filter in (Filter(), Filter(user_id="alice@example.com"), Filter(q="hello", errors=True)):
        with CaptureQueriesContext(connection) as queries:
            list_threads(filter, limit=2)
        # a search is given more time before it, and it is taken back after
        names = ("search_path", "statement_timeout")
        assert len([q for q in queries if not any(name in q["sql"].lower() for name in names)]) == 1


def test_a_list_names_no_column_that_holds_a_transcript(write_one: Write) -> None:
    write_one("s1")
    with CaptureQueriesContext(connection) as queries:
        list_threads(Filter(user_id="alice@example.com", q="x"))
    text = " ".join(q["sql"] for q in queries)
    assert "agno_sessions" not in text
    assert "run_data" not in text


def test_it_lists_one_agents_threads_only(write_one: Write, bruno: Agent) -> None:
    write_one("hers")
    write_thread(bruno, "his")
    assert ids() == ["hers"]
    assert get_thread("his") is None
    with schema_context(bruno.schema_name):
        assert ids() == ["his"]


# Order and pages


def test_the_newest_activity_is_first_and_ties_are_ordered_by_id(write: Write) -> None:
    write("a", at=NOW)
    write("c", at=NOW)
    write("b", at=NOW)
    write("old", at=NOW - 5)
    write("new", at=NOW + 5)
    assert ids() == ["new", "c", "b", "a", "old"]


def test_each_sort_orders_by_its_own_number(write: Write) -> None:
    write("a", [run("a1"), run("a2"), run("a3")], at=NOW)
    write("b", [run("b1", metrics={"input_tokens": 9000})], at=NOW + 1)
    write("c", [run("c1"), run("c2")], at=NOW + 2)
    assert ids(sort="runs") == ["a", "c", "b"]
    assert ids(sort="tokens") == ["b", "a", "c"]
    assert ids(sort="created") == ["c", "b", "a"]
    assert ids(sort="activity") == ids(sort="no such sort; drop table") == ["c", "b", "a"]


@pytest.mark.parametrize("sort", threads.SORTS)
@pytest.mark.parametrize("filter", [Filter(), Filter(user_id="alice@example.com"), Filter(q="s", status="COMPLETED")])
def test_pages_meet_without_a_gap_in_both_directions(write_one: Write, sort: str, filter: Filter) -> None:
    for n in range(11):
        # values tie in twos and threes, so that pages end in the middle of a tie
        write_one(f"s{n:02}", [run(f"r{n}-{k}") for k in range(1 + n // 3)], at=NOW + n // 2)
    whole = ids(filter, sort=sort)
    assert len(whole) == 11
    there, tokens, cursor = [], [], ""
    while True:
        page = list_threads(filter, sort, cursor, limit=3)
        assert page.start == len(there) + 1
        assert (page.count, page.count_is_exact) == (11, True)
        there += [row["session_id"] for row in page.rows]
        tokens.append(page)
        if page.older is None:
            break
        cursor = page.older
    assert there == whole
    back = [row["session_id"] for row in page.rows]
    while page.newer:
        page = list_threads(filter, sort, page.newer, limit=3)
        back = [row["session_id"] for row in page.rows] + back
    assert back == whole
    assert page.start == 1
    assert page.rows == tokens[0].rows


def test_going_newer_fills_the_first_page(write_one: Write) -> None:
    for n in range(4):
        write_one(f"s{n}", at=NOW + n)
    second = list_threads(Filter(), limit=3, cursor=list_threads(Filter(), limit=3).older or "")
    write_one("s9", at=NOW + 9)
    assert ids(cursor=second.newer or "", limit=3) == ["s3", "s2", "s1"]
    page = list_threads(Filter(), limit=4, cursor=second.newer or "")
    assert ([row["session_id"] for row in page.rows], page.newer) == (["s9", "s3", "s2", "s1"], None)


def test_new_threads_do_not_repeat_a_row_on_the_next_page(write_one: Write) -> None:
    for n in range(4):
        write_one(f"s{n}", at=NOW + n)
    first = list_threads(Filter(), limit=2)
    for n in range(10, 15):
        write_one(f"s{n}", at=NOW + n)
    assert ids(cursor=first.older or "", limit=2) == ["s1", "s0"]


def test_a_foreign_cursor_is_a_value_error(write_one: Write) -> None:
    write_one("a")
    write_one("b")
    older = list_threads(Filter(), "runs", limit=1).older or ""
    for bad in (older, "nonsense", older + "x", "é" * 9):
        with pytest.raises(ValueError):
            list_threads(Filter(), "tokens", bad)


@pytest.mark.parametrize("at", [0, -1, 10**12, 10**18, 2**63 - 1, -(2**63)])
def test_times_that_are_no_seconds_are_sorted_all_the_same(write: Write, at: int) -> None:
    write("a", at=NOW)
    write("odd", at=at)
    assert set(ids()) == {"a", "odd"}
    first = list_threads(Filter(), limit=1)
    assert {first.rows[0]["session_id"], *ids(cursor=first.older or "")} == {"a", "odd"}


@pytest.mark.parametrize("odd", ODD_IDS)
def test_any_id_is_listed_paged_and_read(write_one: Write, odd: str) -> None:
    write_one(odd, user_id=odd)
    write_one("plain", at=NOW - 1)
    write_one("plain2", at=NOW + 1)
    assert ids() == ["plain2", odd, "plain"]
    middle = list_threads(Filter(), cursor=list_threads(Filter(), limit=1).older or "", limit=1)
    assert ids(cursor=middle.older or "") == ["plain"]
    assert ids(cursor=middle.newer or "") == ["plain2", odd, "plain"]
    assert ids(Filter(user_id=odd)) == [odd]
    thread = get_thread(odd)
    assert thread is not None
    assert (thread["session_id"], thread["user_id"]) == (odd, odd)


def test_a_limit_is_kept_within_reason(write_one: Write) -> None:
    for n in range(3):
        write_one(f"s{n}")
    assert len(ids(limit=0)) == len(ids(limit=-7)) == 1
    assert len(ids(limit=10**9)) == 3


# Filters


def test_a_users_threads_are_those_they_own_and_those_with_a_run_of_theirs(write: Write) -> None:
    write("owned", user_id="bob", at=NOW)
    write("visited", [run("v1"), run("v2", user_id="bob")], user_id="alice", at=NOW + 1)
    write("foreign", user_id="alice", at=NOW + 2)
    for sort in threads.SORTS:
        assert set(ids(Filter(user_id="bob"), sort=sort)) == {"owned", "visited"}
    assert ids(Filter(user_id="bob")) == ["visited", "owned"]
    assert ids(Filter(user_id="nobody")) == []


def test_the_empty_user_is_a_user_and_no_user_is_not(write: Write) -> None:
    write("empty", user_id="")
    write("none", user_id=None)
    assert ids(Filter(user_id="")) == ["empty"]


def test_it_filters_by_status_errors_sharing_and_time(write: Write) -> None:
    write("fine", at=NOW)
    write("failed", [run("f1", status="ERROR")], at=NOW - 100)
    write("mended", [run("m1", status="ERROR", at=NOW - 9), run("m2")], at=NOW - 200)
    write("both", [run("b1"), run("b2", user_id="bob")], at=NOW - 300)
    assert ids(Filter(status="ERROR")) == ["failed"]
    assert ids(Filter(errors=True)) == ["failed", "mended"]
    assert ids(Filter(shared=True)) == ["both"]
    assert ids(Filter(since=NOW - 200)) == ["fine", "failed", "mended"]
    assert ids(Filter(until=NOW - 200)) == ["both"]
    assert ids(Filter(since=NOW - 200, until=NOW)) == ["failed", "mended"]
    assert ids(Filter(errors=True, status="COMPLETED")) == ["mended"]
    assert ids(Filter(user_id="bob", shared=True, since=NOW - 300, until=NOW)) == ["both"]
    assert ids(Filter(user_id="bob", since=NOW)) == []
    assert ids(Filter(status="no such")) == []


def test_search_looks_into_titles_previews_and_ids(write: Write) -> None:
    write("s-named", session_data={"session_name": "Invoice 100%"})
    write("s-talked", [run("t1", "Où est mon COLIS ?", "Straße")], user_id="Zoë")
    write("s-shared", [run("h1"), run("h2", user_id="Visitor_9")])
    write("s-orphan", [run("o1", user_id="lonely")], user_id=None)
    assert ids(Filter(q="invoice")) == ["s-named"]
    assert ids(Filter(q="colis")) == ["s-talked"]
    assert ids(Filter(q="STRAß")) == ["s-talked"]
    assert ids(Filter(q="zoë")) == ["s-talked"]
    assert ids(Filter(q="S-SHAR")) == ["s-shared"]
    assert ids(Filter(q="visitor_")) == ["s-shared"]
    assert ids(Filter(q="lonely")) == ["s-orphan"]
    assert ids(Filter(q="nowhere")) == []


@pytest.mark.parametrize("q", ["%", "_", "\\", "100%", "'", '"; drop table memory_thread; --', "%s", "%(q)s", "{q}"])
def test_search_takes_every_character_as_it_is(write_one: Write, q: str) -> None:
    write_one("other", session_data={"session_name": "Nothing"})
    assert ids(Filter(q=q)) == []
    write_one("it", session_data={"session_name": f"a {q} b"})
    assert ids(Filter(q=q)) == ["it"]


def test_search_without_content_does_not_match_texts(write: Write) -> None:
    write("s1", [run("r1", "a secret question", "a secret answer")])
    assert ids(Filter(q="secret")) == ["s1"]
    assert ids(Filter(q="secret"), content=False) == []
    assert list_threads(Filter(q="secret"), content=False).count == 0
    assert matching_ids(Filter(q="secret"), 10, content=False) == []


def test_ids_that_match_are_those_of_the_list(write: Write) -> None:
    for n in range(4):
        write(f"s{n}", [run(f"r{n}", status="ERROR" if n % 2 else "COMPLETED")])
    for filter in (Filter(), Filter(user_id="alice@example.com"), Filter(errors=True), Filter(q="s1")):
        assert sorted(matching_ids(filter, 10)) == sorted(ids(filter))
    assert len(matching_ids(Filter(), 3)) == 3


# Counts


def test_a_small_count_is_exact(write_one: Write) -> None:
    for n in range(4):
        write_one(f"s{n}", user_id="bob" if n else "alice")
    for filter, count in ((Filter(), 4), (Filter(user_id="bob"), 3), (Filter(status="COMPLETED"), 4)):
        page = list_threads(filter, limit=1)
        assert (page.count, page.count_is_exact) == (count, True)


def test_a_filtered_count_stops_at_its_cap_and_says_so(write_one: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "COUNT_CAP", 3)
    for n in range(5):
        write_one(f"s{n}")
    page = list_threads(Filter(status="COMPLETED"), limit=1)
    assert (page.count, page.count_is_exact, page.count_is_floor) == (3, False, True)


def test_a_large_index_is_estimated_and_says_so(
    write_one: Write, analyze: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "EXACT_UP_TO", 3)
    for n in range(5):
        write_one(f"s{n}")
    analyze("memory_thread")
    page = list_threads(Filter(), limit=1)
    assert (page.count, page.count_is_exact, page.count_is_floor) == (5, False, False)
    assert list_threads(Filter()).count_is_exact  # all on one page


# One thread


def test_a_thread_is_read_with_its_users_and_what_its_transcript_needs(write: Write, layout: str) -> None:
    write(
        "s1",
        [run(f"r{n}", at=NOW + n, user_id=f"u{n:02}") for n in range(25)],
        user_id="owner",
        summary={"summary": "x"},
    )
    thread = get_thread("s1")
    assert thread is not None
    assert thread["users"] == ["owner", *(f"u{n:02}" for n in range(19))]
    assert (thread["users_count"], thread["runs"], thread["has_summary"], thread["indexed"]) == (26, 25, True, True)
    assert thread["column_runs"] == (25 if layout != "table" else 0)
    assert thread["table_runs"] == (25 if layout != "column" else 0)
    assert thread["column_sorted"] is True
    assert thread["text_bytes"] > 0


def test_an_unknown_thread_is_none(here: None) -> None:
    assert get_thread("no such thread") is None


def test_a_thread_that_the_index_does_not_hold_yet_still_opens(write: Write, layout: str) -> None:
    write("s1", [run("r1"), run("r2")], session_data={"session_name": "Late"}, user_id="alice")
    indexed = get_thread("s1")
    with connection.cursor() as cursor:
        cursor.execute("delete from memory_participant")
        cursor.execute("delete from memory_thread")
    thread = get_thread("s1")
    assert thread is not None
    assert indexed is not None
    assert thread.keys() == indexed.keys()
    assert (thread["title"], thread["user_id"], thread["users"], thread["indexed"]) == (
        "Late",
        "alice",
        ["alice"],
        False,
    )
    assert thread["column_runs"] + thread["table_runs"] == (4 if layout == "both" else 2)


def test_an_index_row_without_its_thread_opens_nothing(write: Write) -> None:
    write("s1")
    with connection.cursor() as cursor:
        cursor.execute("alter table agno_sessions disable trigger memory_sessions_deleted")
        cursor.execute("delete from agno_sessions")
        cursor.execute("alter table agno_sessions enable trigger memory_sessions_deleted")
    assert ids() == ["s1"]
    assert get_thread("s1") is None


# Plans


@pytest.fixture
def many(here: None, analyze: Callable[..., None]) -> None:
    """Some thousand index rows, as a generator writes them: no transcript is needed for a list."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into memory_thread (session_id, session_type, user_id, first_text, runs, errors, users, last_status,
                                       run_input_tokens, created_at)
            select md5(n::text), 'agent', case n %% 5 when 0 then 'heavy' else 'user' || n %% 300 end,
                'Question ' || n, n %% 97, (n %% 40 = 0)::integer, 1 + (n %% 50 = 0)::integer,
                (array['COMPLETED', 'COMPLETED', 'COMPLETED', 'ERROR'])[1 + n %% 4],
                n * 7919 %% 100000, %s + n from generate_series(1, 6000) n""",
            [NOW],
        )
        cursor.execute(
            """
            insert into memory_participant (session_id, user_key, user_id, is_owner, runs, first_at, seen_at, last_at)
            select session_id, memory_user_key(user_id), user_id, true, runs, created_at, last_at, last_at
            from memory_thread"""
        )
    analyze("memory_thread", "memory_participant", "memory_user")


def plan_of_page(monkeypatch: pytest.MonkeyPatch, *args: Any, **more: Any) -> list[str]:
    """The plan of the page's own part, without what is asked once per row or once per page."""
    lines: list[str] = []

    def explain(statement: sql.Composable, values: dict[str, Any]) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("explain (costs off) ") + statement, values)
            lines.extend(row[0] for row in cursor.fetchall())
        return []

    with monkeypatch.context() as patch:
        patch.setattr(threads, "fetch", explain)
        list_threads(*args, **more)
    start = next(n for n, line in enumerate(lines) if line.strip() == "CTE page")
    inside = []
    for line in lines[start + 1 :]:
        if "SubPlan" in line or "InitPlan" in line:
            break
        inside.append(line.strip())
    return inside


def index_walk(plan: list[str], index: str) -> bool:
    text = " ".join(plan)
    return index in text and "Sort" not in text and "Seq Scan" not in text and "Bitmap" not in text


@pytest.mark.parametrize(
    ("sort", "index"),
    [
        ("activity", "memory_thread_last"),
        ("created", "memory_thread_created"),
        ("runs", "memory_thread_runs"),
        ("tokens", "memory_thread_tokens"),
    ],
)
def test_each_sort_walks_its_index(many: None, monkeypatch: pytest.MonkeyPatch, sort: str, index: str) -> None:
    assert index_walk(plan_of_page(monkeypatch, Filter(), sort), index)
    for newer in (False, True):
        plan = plan_of_page(monkeypatch, Filter(), sort, middle(sort, newer))
        assert index_walk(plan, index)
        assert any(line.startswith("Index Cond: (ROW(") for line in plan)
        assert newer == any("Scan Backward" in line for line in plan)


def middle(sort: str, newer: bool) -> str:
    """A cursor half-way down the list."""
    column = sql.Identifier(threads.SORTS[sort])
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("select {0}, session_id from memory_thread order by {0}, session_id offset 3000 limit 1").format(
                column
            )
        )
        value, key = cursor.fetchone()
    return Cursor(sort, value, key, newer).write()


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        (Filter(errors=True), "memory_thread_errors"),
        (Filter(shared=True), "memory_thread_shared"),
        (Filter(since=NOW + 100, until=NOW + 4000), "memory_thread_last"),
        (Filter(status="ERROR", since=NOW + 100, until=NOW + 200), "memory_thread_status"),
        (Filter(user_id="heavy"), "memory_participant_user"),
        (Filter(user_id="heavy", since=NOW + 100), "memory_participant_user"),
    ],
)
def test_each_filter_walks_its_index(many: None, monkeypatch: pytest.MonkeyPatch, filter: Filter, index: str) -> None:
    assert index_walk(plan_of_page(monkeypatch, filter), index)


def test_another_sort_of_a_user_reads_that_users_rows_only(many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(plan_of_page(monkeypatch, Filter(user_id="user7"), "runs"))
    assert "memory_participant_user" in text
    assert "memory_thread_runs" not in text
    assert "Seq Scan" not in text
