"""What a deletion means is what goes: all of a user whatever the index says, and nobody else's."""

import json
from typing import Any

import pytest
from django_tenants.utils import schema_context

from memory.index import repair
from memory.services import deletion
from studio import ids
from tests.markup import Page
from tests.memory.field.rows import NOW, Studio, turn
from tests.reading import html, links, text
from tests.world import sql

ASK = "/agents/agt-ada/delete-threads/"


def left(studio: Studio) -> set[str]:
    with schema_context(studio.agent.schema_name):
        return {name for (name,) in sql("select session_id from agno_sessions")}


def here(studio: Studio, statement: str, *values: Any) -> None:
    with schema_context(studio.agent.schema_name):
        sql(statement, *values)


def delete(studio: Studio, asked: Any) -> None:
    """Confirm a question as it stands."""
    form = Page(html(asked)).form("delete-threads/now")
    number = form.fields["expect"][0]
    assert studio.page.post(form.action, {**form.fields, "confirm": number}).status_code == 303


def ask(studio: Studio, **data: str) -> Any:
    return studio.page.get(ASK, {"all": "1", **data})


def of(user: str, *parts: str) -> list[dict[str, Any]]:
    """Runs of some users, in a thread of `user`."""
    return [turn(f"{user}-{n}-{one}", "question", "answer", user_id=one) for n, one in enumerate((user, *parts))]


class TestOwnedAndTookPart:
    @pytest.fixture
    def seven(self, studio: Studio, where: str) -> Studio:
        """Two threads of mia, and seven of others that she took part in."""
        for n in range(2):
            studio.both(f"mia-{n}", of(f"mia-{n}", "mia", "noah"), where, user_id="mia")
        for n in range(7):
            studio.both(f"other-{n}", of(f"o{n}", "mia"), where, user_id=f"o{n}")
        studio.both("nobodys", of("x", "mia"), where, user_id=None)
        return studio

    def test_a_users_page_deletes_what_they_own(self, seven: Studio) -> None:
        shown = seven.page.get("/agents/agt-ada/users/mia/")
        assert "Delete all 2 owned threads…" in text(shown)
        (address,) = [link for link in links(shown, "delete-threads") if "all=1" in link and "user=mia" in link][:1]
        asked = seven.page.get(address)
        assert "Delete 2 threads for good?" in text(asked)
        assert "Owner mia (2)" in text(asked)
        assert "who only took part" not in text(asked)
        # whom else it touches
        assert "Took part noah (2) mia-0 (1) mia-1 (1)" in text(asked)
        delete(seven, asked)
        assert left(seven) == {*(f"other-{n}" for n in range(7)), "nobodys"}

    def test_threads_of_others_are_asked_for_by_name_and_their_owners_are_named(self, seven: Studio) -> None:
        said = text(ask(seven, user="mia", part="joined"))
        assert "Delete 8 threads for good?" in said
        assert "None of them belongs to mia, who only took part." in said
        assert "Owners o0 (1) o1 (1) o2 (1) o3 (1) o4 (1) o5 (1) o6 (1) no user (1)" in said
        said = text(ask(seven, user="mia", part="any"))
        assert "Delete 10 threads for good?" in said
        assert "8 of them do not belong to mia, who only took part." in said
        assert len(left(seven)) == 10

    def test_the_list_of_all_says_which_it_selects(self, seven: Studio) -> None:
        """Its rows are of both parts, so all of its rows are."""
        form = Page(html(seven.page.get("/agents/agt-ada/threads/", {"user": "mia"}))).form("delete-threads")
        assert "Delete 10 threads" in text(seven.page.post(form.action, {**form.fields, "all": "1"}))
        form = Page(html(seven.page.get("/agents/agt-ada/users/mia/"))).form("delete-threads")
        assert "Delete 2 threads" in text(seven.page.post(form.action, {**form.fields, "all": "1"}))
        form = Page(html(seven.page.get("/agents/agt-ada/users/mia/", {"part": "joined"}))).form("delete-threads")
        assert "Delete 8 threads" in text(seven.page.post(form.action, {**form.fields, "all": "1"}))

    def test_what_nobody_owns_is_not_everything(self, seven: Studio) -> None:
        for part in ("owned", "joined", "any"):
            for user in ({}, {"user": ""}):
                assert ask(seven, part=part, **user).status_code == 400

    def test_one_thread_names_its_owner_too(self, seven: Studio) -> None:
        said = text(seven.page.get(ASK, {"id": "other-3"}))
        assert "Owner o3" in said
        assert "Took part mia" in said

    def test_the_api_tells_them_apart(self, seven: Studio) -> None:
        assert sorted(seven.found(user_id="mia", part="owned")) == ["mia-0", "mia-1"]
        assert len(seven.found(user_id="mia", part="joined")) == 8
        assert len(seven.found(user_id="mia")) == 10


class TestTheQuestion:
    def test_many_threads_are_named_by_the_first_titles_and_all_owners(self, studio: Studio) -> None:
        for n in range(12):
            runs = [turn(f"r{n}", f"Question {n}", "answer")]
            studio.thread(f"t{n:02}", runs, user_id=f"owner {n % 9}", at=NOW - n)
        said = text(ask(studio))
        assert "Question 0 Question 1 Question 2 Question 3 Question 4 and 7 more" in said
        for n in range(9):
            assert f"owner {n} ({2 if n < 3 else 1})" in said

    def test_many_owners_are_all_named_up_to_a_thousand(self, studio: Studio) -> None:
        here(
            studio,
            "insert into agno_sessions (session_id, session_type, user_id, created_at)"
            " select 's' || n, 'agent', 'u' || n, 1 from generate_series(1, 1005) n",
        )
        said = text(ask(studio))
        assert said.count("(1)") == 1000
        assert "and 5 more" in said

    def test_a_title_is_content(self, studio: Studio) -> None:
        studio.thread("t1", [turn("r1", "my secret", "answer")])
        with schema_context(studio.agent.schema_name):
            size = deletion.preview(studio.agent, ["t1"])
            assert size.not_indexed == 0
            assert deletion.describe(studio.agent, ["t1"], None, content=False).titles == ["t1"]
            assert deletion.describe(studio.agent, ["t1"], None, content=True).titles == ["my secret"]


# ways in which a thread may be in no index
UNINDEXED = {
    "no row was ever written": "delete from memory_thread where session_id = 'lost'",
    "nothing of it was ever written": """
        with t as (delete from memory_thread where session_id = 'lost'),
            r as (delete from memory_run where session_id = 'lost'),
            u as (delete from memory_user where user_id in ('mia', 'noah'))
        delete from memory_participant where session_id = 'lost'""",
    "its people are lost": "delete from memory_participant where session_id = 'lost'",
    "it cannot be counted": """
        with t as (delete from memory_thread where session_id = 'lost'),
            p as (delete from memory_participant where session_id = 'lost')
        insert into memory_backlog (session_id, error) values ('lost', 'broken')""",
    "it waits to be counted": """
        with t as (delete from memory_thread where session_id = 'lost'),
            p as (delete from memory_participant where session_id = 'lost')
        insert into memory_backlog (session_id) values ('lost')""",
}


@pytest.fixture(params=UNINDEXED)
def lost(request: pytest.FixtureRequest, studio: Studio, where: str, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A thread of mia in which noah took part, of which the index knows nothing, or nothing right; one of each stays.

    Nothing counts it: it may be one that cannot be.
    """
    studio.both("lost", of("lost", "mia", "noah"), where, user_id="mia", session_data={"session_name": "Lost one"})
    studio.both("noahs", of("n"), where, user_id="noah")
    studio.both("evas", of("e"), where, user_id="eva")
    here(studio, UNINDEXED[request.param])
    monkeypatch.setattr(repair, "mend", lambda **_: iter(()))
    return studio


class TestErasureDoesNotTrustTheIndex:
    def test_all_of_a_user_goes(self, lost: Studio) -> None:
        asked = ask(lost, user="mia")
        assert "Delete this thread for good?" in text(asked)
        assert "Lost one" in text(asked)
        assert "Owner mia" in text(asked)
        assert "It is not indexed yet: what it holds goes too" in text(asked)
        delete(lost, asked)
        assert left(lost) == {"noahs", "evas"}

    def test_what_they_took_part_in_is_found_by_the_runs(self, lost: Studio) -> None:
        delete(lost, ask(lost, user="noah", part="any"))
        assert left(lost) == {"evas"}

    def test_it_is_not_theirs_because_they_took_part(self, lost: Studio) -> None:
        delete(lost, ask(lost, user="noah"))
        assert left(lost) == {"lost", "evas"}

    def test_all_threads_are_all(self, lost: Studio) -> None:
        delete(lost, ask(lost))
        assert left(lost) == set()

    def test_the_users_page_offers_it(self, lost: Studio) -> None:
        shown = lost.page.get("/agents/agt-ada/users/mia/")
        assert "Owned 1" in text(shown)
        assert "Delete the owned thread…" in text(shown)


def broken(studio: Studio, *names: str) -> None:
    """Make threads that cannot be counted."""
    where = ", ".join(f"'{name}'" for name in names)
    here(studio, f"alter table memory_thread add constraint fault check (session_id not in ({where})) not valid")
    for name in names:
        studio.thread(name, of(name, "mia"), user_id="mia")


class TestWhatIsNotIndexed:
    def test_pages_and_the_api_say_how_many(self, studio: Studio) -> None:
        studio.thread("good", of("good"), user_id="mia")
        broken(studio, "bad", "worse")
        for address in ("threads/", "users/", "users/mia/"):
            said = text(studio.page.get(f"/agents/agt-ada/{address}"))
            assert "2 threads are not indexed yet: lists may lack them" in said
            assert "2 could not be counted" in said
        for what in ("threads", "users"):
            assert studio.api.get(f"agents/agt-ada/{what}")["not_indexed"] == 2
        here(studio, "alter table memory_thread drop constraint fault")
        delete(studio, ask(studio, user="mia"))
        assert "not indexed" not in studio.listed()
        assert studio.api.get("agents/agt-ada/threads")["not_indexed"] == 0

    def test_those_that_wait_are_said_too(self, studio: Studio) -> None:
        studio.thread("good", of("good"), user_id="mia")
        here(studio, "insert into memory_backlog (session_id) values ('good')")
        assert "1 thread is not indexed yet: lists may lack it, or show it as it was." in studio.listed()

    def test_a_filter_says_of_which_it_does_not_know(self, studio: Studio) -> None:
        studio.thread("good", [turn("g", "q", "a", status="ERROR")], user_id="mia")
        broken(studio, "bad")
        asked = ask(studio, errors="1")
        assert "Delete this thread for good?" in text(asked)
        assert "1 thread is not indexed yet, so whether it matches is not known. It is not deleted." in text(asked)
        assert "It is not deleted." in text(ask(studio, q="nowhere"))
        delete(studio, asked)
        assert left(studio) == {"bad"}

    def test_a_row_of_before_does_not_say_that_a_thread_matches(self, studio: Studio) -> None:
        """The index has an error that was mended, in a thread that cannot be counted since."""
        studio.thread("t", [turn("g", "q", "a", status="ERROR")], user_id="mia")
        here(studio, "alter table memory_thread add constraint fault check (session_id <> 't') not valid")
        here(studio, "update agno_sessions set runs = %s", json.dumps([turn("g", "q", "a")]))
        assert "No thread matches any more." in text(ask(studio, errors="1"))
        assert left(studio) == {"t"}

    def test_another_owner_since_then_keeps_their_thread(self, studio: Studio) -> None:
        studio.thread("t", of("t"), user_id="mia")
        here(studio, "alter table memory_thread add constraint fault check (session_id <> 't') not valid")
        here(studio, "update agno_sessions set user_id = 'noah'")
        assert "No thread matches any more." in text(ask(studio, user="mia"))
        delete(studio, ask(studio, user="noah"))
        assert left(studio) == set()

    def test_what_waits_is_counted_first(self, studio: Studio) -> None:
        studio.thread("t", [turn("g", "q", "a", status="ERROR")], user_id="mia")
        here(studio, "delete from memory_thread")
        with schema_context(studio.agent.schema_name):
            repair.mark_all()
        delete(studio, ask(studio, errors="1"))
        assert left(studio) == set()

    def test_a_row_that_the_index_has_lost_is_counted_first(self, studio: Studio) -> None:
        studio.thread("t", [turn("g", "q", "a", status="ERROR")], user_id="mia")
        here(studio, "delete from memory_thread")
        delete(studio, ask(studio, errors="1"))
        assert left(studio) == set()

    def test_a_write_that_could_not_be_noted_is_found(self, studio: Studio) -> None:
        studio.thread("t", [turn("g", "q", "a")], user_id="mia")
        here(studio, "update agno_sessions set runs = %s", json.dumps([turn("g", "q", "a", status="ERROR")]))
        here(studio, "delete from memory_feed")
        here(studio, "select nextval('memory_missed')")
        delete(studio, ask(studio, errors="1"))
        assert left(studio) == set()


def test_a_status_of_10_kb_is_deleted_with_its_user(studio: Studio, where: str) -> None:
    """It overflowed an index row, was never counted, and stayed when all threads of its user went."""
    long = "".join(chr(33 + n * 7 % 90) for n in range(10_000))
    studio.both("big", [turn("b1", "question", "answer", status=long, user_id="mia")], where, user_id="mia")
    studio.both("small", of("s"), where, user_id="noah")
    delete(studio, ask(studio, user="mia"))
    assert left(studio) == {"small"}


@pytest.mark.parametrize("length", [9_999, 10_000, 10_001, 30_000])
def test_a_user_with_a_long_id_is_erased(studio: Studio, length: int) -> None:
    user = "~" + "u" * (length - 1)
    studio.table("long", [turn("l", "q", "a")], user_id=user)
    studio.table("visited", [turn("v", "q", "a", user_id=user)], user_id="noah")
    (listed,) = (one for one in studio.api.get("agents/agt-ada/users")["items"] if one["user_id"] != "noah")
    delete(studio, ask(studio, user=ids.encode(listed["user_id"])))
    assert left(studio) == {"visited"}
    delete(studio, ask(studio, user=ids.encode(listed["user_id"]), part="joined"))
    assert left(studio) == set()
