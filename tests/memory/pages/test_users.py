"""Users of an agent, and the page of one of them."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from memory.index import users as store
from studio import ids
from studio.models import Agent, MemorySettings
from tests.reading import form_with, html, links, text, titles
from tests.world import HTMX, NOW, ODD_IDS, person, run, signed_in, write_thread

USERS = "/agents/agt-ada/users/"


def cost(page: Client, address: str) -> int:
    """How many queries a page takes."""
    with CaptureQueriesContext(connection) as queries:
        page.get(address)
    return len(queries)


class TestList:
    def test_a_row_says_threads_runs_and_when(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", [run("r1", at=NOW - 7200), run("r2", at=NOW - 3600)], user_id="alice")
        said = text(page.get(USERS))
        for part in ("alice", "1 thread", "2 runs", "1 h ago", "2 h ago", "1 user"):
            assert part in said

    @pytest.mark.parametrize("odd", ODD_IDS)
    def test_any_user_is_listed_and_opens(self, page: Client, ada: Agent, odd: str) -> None:
        write_thread(ada, "s1", session_data={"session_name": "Odd"}, user_id=odd)
        write_thread(ada, "s2", session_data={"session_name": "Plain"}, user_id="plain")
        address = reverse("user", args=[ada.pk, odd])
        assert address in links(page.get(USERS), "/users/")
        response = page.get(address)
        assert response.status_code == 200
        assert titles(response) == ["Odd"]
        copied = re.search(r'data-copy-id="([^"]*)" aria-label="Copy the user', html(response))
        assert copied is not None
        assert ids.decode(copied[1]) == odd

    def test_search_is_by_prefix(self, page: Client, ada: Agent) -> None:
        for n, name in enumerate(["Alice", "alina", "Malice"]):
            write_thread(ada, f"s{n}", user_id=name, at=NOW - n)
        assert set(titles(page.get(USERS, {"q": " ALI "}))) == {"Alice", "alina"}

    def test_sorting_and_pages_keep_the_search(self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = store.list_users
        monkeypatch.setattr(store, "list_users", lambda *args: whole(*args, limit=2))
        for n in range(5):
            write_thread(ada, f"s{n}", [run(f"r{n}-{k}") for k in range(5 - n)], user_id=f"u{n}")
        first = page.get(USERS, {"q": "u", "sort": "runs"})
        assert titles(first) == ["u0", "u1"]
        assert "1–2 of 5 users" in text(first)
        (older,) = links(first, "cursor=")
        second = page.get(older)
        assert titles(second) == ["u2", "u3"]
        newer, _ = links(second, "cursor=")
        assert titles(page.get(newer)) == ["u0", "u1"]
        assert re.search(r'aria-sort="descending"\s*>\s*<a[^>]*>Runs', html(second))

    @pytest.mark.parametrize("asked", [{"cursor": "x"}, {"q": "a\x00b"}, {"cursor": "\x00"}])
    def test_what_cannot_be_read_is_refused_politely(self, page: Client, ada: Agent, asked: dict[str, str]) -> None:
        assert page.get(USERS, asked).status_code == 400

    def test_nobody_and_no_match_are_two_texts(self, page: Client, ada: Agent) -> None:
        assert "No users yet" in text(page.get(USERS))
        write_thread(ada, "s1")
        said = text(page.get(USERS, {"q": "zzz"}))
        assert "No user matches" in said
        assert "zzz" in said

    def test_what_is_stored_is_text_never_markup(self, page: Client, ada: Agent) -> None:
        bad = '"><script>alert(1)</script>'
        write_thread(ada, "s1", user_id=bad)
        for address in (USERS, f"{USERS}{ids.encode(bad)}/"):
            assert "<script>alert" not in html(page.get(address))
            assert bad in text(page.get(address))

    def test_htmx_gets_the_rows_only_and_a_short_address(self, page: Client, ada: Agent) -> None:
        response = page.get(USERS + "?q=a&sort=", headers=HTMX)
        assert html(response).lstrip().startswith('<div id="users"')
        assert response["HX-Push-Url"] == USERS + "?q=a"
        assert "HX-Request" in response["Vary"]

    def test_queries_do_not_grow_with_rows(self, page: Client, ada: Agent) -> None:
        page.get(USERS)
        assert cost(page, USERS) <= 7
        write_thread(ada, "one")
        one = cost(page, USERS)
        for n in range(60):
            write_thread(ada, f"s{n}", user_id=f"u{n}")
        assert one == cost(page, USERS) <= 6


class TestOne:
    def test_their_threads_are_those_owned_and_those_visited(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "own", session_data={"session_name": "Own"}, user_id="bob", at=NOW)
        visited = [run("v1"), run("v2", user_id="bob")]
        write_thread(ada, "visited", visited, session_data={"session_name": "Visited"}, at=NOW - 1)
        write_thread(ada, "foreign", session_data={"session_name": "Foreign"})
        response = page.get(f"{USERS}bob/")
        assert titles(response) == ["Own"]
        assert "2 threads 2 runs" in text(response)
        assert "Owned 1 Took part in 1" in text(response)
        (joined,) = links(response, "part=joined")
        response = page.get(joined)
        assert titles(response) == ["Visited"]
        assert "They belong to their owners." in text(response)

    def test_filters_and_orders_stay_within_the_part(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "own", [run("o1", "Own question", status="ERROR")], user_id="bob")
        for name in ("One", "Two"):
            visited = [run(f"a-{name}", f"{name} question"), run(f"b-{name}", user_id="bob")]
            write_thread(ada, name, visited, user_id="alice")
        address = f"{USERS}bob/?part=joined"
        assert form_with(page.get(address), "active").fields["part"] == ["joined"]
        assert titles(page.get(f"{address}&q=one")) == ["One question"]
        assert titles(page.get(f"{USERS}bob/", {"q": "question"})) == ["Own question"]
        none = page.get(f"{address}&errors=1")
        assert titles(none) == []
        assert address in links(none)
        assert all("part=joined" in link for link in links(page.get(address), "sort="))
        response = page.get(f"{address}&q=one", headers=HTMX)
        assert response["HX-Push-Url"] == f"{USERS}bob/?q=one&part=joined"

    def test_who_owns_none_sees_where_the_others_are(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "visited", [run("v1"), run("v2", user_id="bob")])
        response = page.get(f"{USERS}bob/")
        assert "Owned 0 Took part in 1" in text(response)
        assert "Threads of others with a run of theirs are in the other list." in text(response)
        assert links(response, "delete-threads") == []
        assert "Threads that they own are in the other list." in text(
            page.get(f"{USERS}alice@example.com/", {"part": "joined"})
        )

    def test_the_list_of_all_threads_can_be_of_either_part_too(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "own", session_data={"session_name": "Own"}, user_id="bob", at=NOW)
        visited = [run("v1"), run("v2", user_id="bob")]
        write_thread(ada, "visited", visited, session_data={"session_name": "Visited"}, at=NOW - 1)
        threads = "/agents/agt-ada/threads/"
        for part, found, chip in (
            ("", ["Own", "Visited"], "User: bob"),
            ("owned", ["Own"], "Owner: bob"),
            ("joined", ["Visited"], "Took part: bob"),
        ):
            response = page.get(threads, {"user": "bob", "part": part})
            assert titles(response) == found
            assert chip in text(response)
            # without the user, nothing is left of it
            assert threads in links(response)
        assert len(titles(page.get(threads, {"part": "owned"}))) == 2

    def test_the_list_filters_and_sorts_within_the_user(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "own", [run("o1", "Own", status="ERROR")], user_id="bob")
        write_thread(ada, "two", [run("t1", "Two"), run("t2")], user_id="bob", at=NOW - 5)
        write_thread(ada, "alien", [run("a1", "Alien", status="ERROR")])
        address = f"{USERS}bob/"
        assert titles(page.get(address, {"status": "ERROR"})) == ["Own"]
        assert titles(page.get(address, {"sort": "runs"})) == ["Two", "Own"]
        response = page.get(address, {"q": "o"})
        assert titles(response) == ["Own", "Two"]
        assert page.get(address, {"q": "o", "user": "alice@example.com"}).status_code == 422
        assert all(link.startswith(address) for link in links(response, "sort="))
        fragment = page.get(address, {"q": "two"}, headers=HTMX)
        assert "<html" not in html(fragment)
        assert titles(fragment) == ["Two"]

    def test_deleting_all_names_the_user_in_the_address(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", user_id="a&b=c")
        address = f"/agents/agt-ada/delete-threads/?all=1&user={ids.encode('a&b=c')}"
        assert address in links(page.get(reverse("user", args=[ada.pk, "a&b=c"])), "delete-threads")

    @pytest.mark.parametrize("segment", ["nobody", "~", "~AA", "~!!", "%00", "~" + "A" * 5000])
    def test_who_has_no_thread_has_no_page(self, page: Client, ada: Agent, segment: str) -> None:
        write_thread(ada, "s1", user_id=None)
        assert page.get(f"{USERS}{segment}/").status_code == 404

    def test_queries_do_not_grow_with_rows(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", user_id="bob")
        page.get(f"{USERS}bob/")
        one = cost(page, f"{USERS}bob/")
        for n in range(60):
            write_thread(ada, f"s{n}", user_id="bob")
        assert one == cost(page, f"{USERS}bob/") <= 8


@pytest.mark.parametrize("address", [USERS, USERS + "alice@example.com/"])
class TestWhoMay:
    def test_it_hides_another_agents_users(self, page: Client, ada: Agent, bruno: Agent, address: str) -> None:
        write_thread(bruno, "his", user_id="alice@example.com")
        response = page.get(address)
        assert titles(response) == []
        assert response.status_code == (200 if address == USERS else 404)
        assert "alice" in text(page.get(address.replace("ada", "bruno")))

    def test_a_viewer_sees_no_content_and_no_way_to_delete(self, ada: Agent, address: str) -> None:
        write_thread(ada, "s1", [run("r1", "my secret", "your secret")])
        body = html(signed_in(person("viewer")).get(address))
        assert "secret" not in body
        assert "delete-threads" not in body
        assert "alice@example.com" in body

    def test_another_framework_has_no_users(self, page: Client, ada: Agent, address: str) -> None:
        write_thread(ada, "s1")
        Agent.objects.filter(pk=ada.pk).update(framework="google-adk")
        response = page.get(address)
        assert "alice" not in text(response)
        assert response.status_code == 404 or "Google ADK agents keep no sessions here" in text(response)

    def test_storage_off_still_shows_what_is_stored(self, page: Client, ada: Agent, address: str) -> None:
        write_thread(ada, "s1")
        MemorySettings.objects.filter(agent=ada).update(session_storage=False)
        said = text(page.get(address))
        assert "Session storage is off" in said
        assert "alice" in said
