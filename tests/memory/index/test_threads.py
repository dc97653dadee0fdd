"""Lists of threads, over runs in the column, in the table, and in both: a row, and one thread."""

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context

from memory.index.threads import Filter, get_thread, list_threads
from studio.models import Agent
from tests.memory.index.lists import Write, ids
from tests.world import NOW, message, run, write_thread

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


def test_without_content_titles_are_ids_and_nothing_is_previewed(write: Write) -> None:
    write("named", session_data={"session_name": "Parcel A-17"})
    write("talked", [run("t1", "My secret", "Your secret")])
    rows = list_threads(Filter(), content=False).rows
    assert {row["session_id"]: row["title"] for row in rows} == {"named": "named", "talked": "talked"}
    assert "secret" not in str(rows)
    assert "Parcel" not in str([rows, get_thread("named", content=False)])
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
    for filter in (Filter(), Filter(user_id="alice@example.com"), Filter(q="hello")):
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
    assert thread["reordered"] is False
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
        cursor.execute("delete from agno_sessions")
        cursor.execute("delete from memory_feed")
    assert ids() == ["s1"]
    assert get_thread("s1") is None
