"""The list of threads: rows, pages, and who may see what."""

import gzip
import re
import uuid
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_tenants.utils import schema_context
from psycopg.errors import QueryCanceled

from memory.index import repair, threads
from studio import ids
from studio.models import Agent, AuditEvent, MemorySettings
from tests.memory.pages.thread_list import THREADS, chips, named
from tests.reading import html, links, text, titles
from tests.world import HTMX, NOW, ODD_IDS, new_person, person, run, signed_in, write_thread


def test_an_agent_without_settings_has_its_pages(page: Client, ada: Agent) -> None:
    write_thread(ada, "s1")
    MemorySettings.objects.filter(agent=ada).delete()
    for name in ("threads", "users", "activity"):
        assert "storage off" in text(page.get(reverse(name, args=[ada.pk])))


class TestRows:
    def test_a_row_says_what_one_scans_for(self, page: Client, ada: Agent) -> None:
        runs = [run("r1", "Where is it?", user_id="bob"), run("r2", status="ERROR", user_id="eve")]
        write_thread(ada, "s1", runs, user_id="alice", at=NOW - 3600)
        said = text(page.get(THREADS))
        for part in ("Where is it?", "alice", "bob", "eve", "shared", "Error", "1 h ago", "1 thread"):
            assert part in said

    def test_a_preview_of_a_search_is_words_without_markdown(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", [run("r1", "Title", "I have **R26** in `front`")])
        assert "I have R26 in front" in text(page.get(THREADS, {"q": "R26"}))

    def test_a_comma_stays_with_the_user_before_it(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", [run("r1", user_id="bob")], user_id="alice")
        people = re.findall(r'<span class="person">(.*?)</span>', html(page.get(THREADS)), re.DOTALL)
        assert [re.sub(r"<[^>]*>|\s", "", one) for one in people] == ["alice,", "bob"]

    @pytest.mark.parametrize(
        ("role", "words"), [("admin", "titles, latest answers, ids and users"), ("viewer", "ids and users")]
    )
    def test_the_search_is_worded_in_one_way(self, ada: Agent, role: str, words: str) -> None:
        response = signed_in(person(role)).get(THREADS, {"q": "nothing-matches"})
        assert f"The search looks at {words}." in text(response)
        assert f'placeholder="Search {words}"' in html(response)
        assert f'aria-label="Search {words}"' in html(response)

    def test_more_than_three_users_are_a_number(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", [run(f"r{n}", user_id=f"u{n}") for n in range(5)], user_id="owner")
        assert "+3" in text(page.get(THREADS))

    def test_a_thread_without_users_says_so(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", user_id=None)
        assert "no user" in text(page.get(THREADS))

    def test_a_status_that_nobody_knows_is_shown_as_it_is(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", [run("r1", status="<b>half done</b>")])
        response = page.get(THREADS)
        assert "<b>half done</b>" in text(response)
        assert "<b>half" not in html(response)

    def test_what_is_stored_is_text_never_markup(self, page: Client, ada: Agent) -> None:
        bad = '"><img src=x onerror=alert(1)>'
        write_thread(ada, bad, [run("r1", bad, bad, status=bad)], user_id=bad)
        for address in (THREADS, f"{THREADS}?q=img", f"{THREADS}?user={ids.encode(bad)}"):
            response = page.get(address)
            assert "<img" not in html(response)
            assert bad in text(response)

    @pytest.mark.parametrize("odd", ODD_IDS)
    def test_any_id_is_listed_linked_and_filtered_by(self, page: Client, ada: Agent, odd: str) -> None:
        write_thread(ada, odd, session_data={"session_name": "Odd"}, user_id=odd)
        named(ada, "Plain", user_id="plain")
        response = page.get(THREADS)
        assert reverse("thread", args=[ada.pk, odd]) in links(response, "/threads/")
        assert reverse("user", args=[ada.pk, odd]) in links(response, "/users/")
        assert f"?id={ids.encode(odd)}" in html(response)
        filtered = page.get(THREADS, {"user": ids.encode(odd)})
        assert titles(filtered) == ["Odd"]
        assert len(chips(filtered)) == 1
        if odd.isprintable() and odd.strip() and len(odd) < 200:
            assert "Odd" in titles(page.get(THREADS, {"q": odd}))

    def test_what_selects_and_deletes_a_row_is_named_by_its_title_whatever_the_id(
        self, page: Client, ada: Agent
    ) -> None:
        for odd in ODD_IDS:
            write_thread(ada, odd, session_data={"session_name": "Odd"})
        said = html(page.get(THREADS))
        ids_there = re.findall(r' id="([^"]*)"', said)
        assert len(set(ids_there)) == len(ids_there)
        names = re.findall(r'aria-labelledby="(select|delete) ([^"]*)"', said)
        rows = range(1, len(ODD_IDS) + 1)
        assert sorted(names) == sorted((verb, f"t{n}") for verb in ("select", "delete") for n in rows)
        assert {one for name in names for one in name} <= set(ids_there)

    def test_a_page_of_rows_is_small(self, page: Client, ada: Agent) -> None:
        for n in range(50):
            write_thread(ada, str(uuid.UUID(int=n)), user_id=f"user{n:06}@example.com")
        answer = page.get(THREADS, headers={"accept-encoding": "gzip"})
        assert len(gzip.decompress(answer.content)) < 80_000
        assert len(answer.content) < 14_000

    @pytest.mark.parametrize("at", [0, -5, 10**12, 10**18, 2**62])
    def test_a_time_that_is_none_does_not_hurt(self, page: Client, ada: Agent, at: int) -> None:
        write_thread(ada, "s1", at=at)
        assert titles(page.get(THREADS)) == ["Hello"]

    def test_a_large_number_is_shortened(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", [run("r1", metrics={"input_tokens": 18_400, "output_tokens": 0})])
        assert "18.4k" in text(page.get(THREADS))


class TestPages:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = threads.list_threads
        monkeypatch.setattr(threads, "list_threads", lambda *args, **more: whole(*args, limit=2, **more))

    def test_older_and_newer_walk_the_list(self, page: Client, ada: Agent) -> None:
        named(ada, "A", "B", "C", "D", "E")
        first = page.get(THREADS, {"q": "s-"})
        assert titles(first) == ["A", "B"]
        assert "1–2 of 5 threads" in text(first)
        (older,) = links(first, "cursor=")
        second = page.get(older)
        assert titles(second) == ["C", "D"]
        assert "3–4 of 5 threads" in text(second)
        newer, older = links(second, "cursor=")
        assert titles(page.get(newer)) == ["A", "B"]
        assert titles(page.get(older)) == ["E"]

    def test_a_filter_starts_again_at_the_newest(self, page: Client, ada: Agent) -> None:
        named(ada, "A", "B", "C")
        second = page.get(links(page.get(THREADS), "cursor=")[0])
        assert not [link for link in links(second, "sort=") if "cursor" in link]

    def test_counts_say_what_they_are(self, page: Client, ada: Agent, count_to: Callable[..., None]) -> None:
        count_to(COUNT_CAP=3, EXACT_UP_TO=4)
        named(ada, "A", "B", "C", "D", "E")
        assert "1–2 of more than 3 threads" in text(page.get(THREADS, {"status": "COMPLETED"}))
        with connection.cursor() as cursor:
            cursor.execute("analyze ag_agt_ada.memory_thread")
        response = page.get(THREADS)
        assert "1–2 of about 5 threads" in text(response)
        assert "Select all matching threads (about 5)" in text(response)

    def test_a_page_whose_threads_have_gone_leads_back(self, page: Client, ada: Agent) -> None:
        named(ada, "A", "B", "C")
        (older,) = links(page.get(THREADS), "cursor=")
        with connection.cursor() as cursor:
            cursor.execute("delete from ag_agt_ada.agno_sessions where session_id = 's-C'")
        response = page.get(older)
        assert "No older threads" in text(response)
        assert THREADS in links(response, "/threads/")


class TestNothing:
    def test_nothing_stored_says_what_will_appear(self, page: Client, ada: Agent) -> None:
        said = text(page.get(THREADS))
        assert "No threads yet" in said
        assert "appears here when the agent has answered" in said

    def test_nothing_stored_and_storage_off_says_why(self, page: Client, ada: Agent) -> None:
        MemorySettings.objects.filter(agent=ada).update(session_storage=False)
        assert "None will appear while session storage is off" in text(page.get(THREADS))

    def test_no_match_is_another_text(self, page: Client, ada: Agent) -> None:
        named(ada, "A")
        said = text(page.get(THREADS, {"q": "nowhere"}))
        assert "No thread matches" in said
        assert "No threads yet" not in said

    def test_a_search_that_takes_too_long_is_a_third_text(
        self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def slow(*args: Any, **more: Any) -> None:
            raise OperationalError("canceled") from QueryCanceled("statement timeout")

        monkeypatch.setattr(threads, "list_threads", slow)
        for headers in ({}, HTMX):
            response = page.get(THREADS, {"q": "slow"}, headers=headers)
            assert response.status_code == 422
            assert "The list took too long" in text(response)
            assert 'value="slow"' in html(response)

    def test_storage_off_still_shows_what_is_stored(self, page: Client, ada: Agent) -> None:
        named(ada, "Kept")
        MemorySettings.objects.filter(agent=ada).update(session_storage=False)
        response = page.get(THREADS)
        assert titles(response) == ["Kept"]
        assert "Session storage is off" in text(response)

    def test_another_framework_gets_one_sentence(self, page: Client, ada: Agent) -> None:
        named(ada, "Hidden")
        Agent.objects.filter(pk=ada.pk).update(framework="langchain")
        response = page.get(THREADS)
        assert response.status_code == 200
        assert "LangChain agents keep no sessions here" in text(response)
        assert "Hidden" not in text(response)
        assert 'id="filters"' not in html(response)


class TestFragment:
    def test_htmx_gets_the_part_of_the_page_that_the_page_includes(self, page: Client, ada: Agent) -> None:
        named(ada, "A")
        whole, part = html(page.get(THREADS)), html(page.get(THREADS, headers=HTMX))
        assert "<html" in whole
        assert "<html" not in part
        start = part.index('<div id="rows"')
        assert part[start:].strip().split("csrfmiddlewaretoken")[0] in whole

    def test_a_boosted_link_gets_the_main_part_of_the_page(self, page: Client, ada: Agent) -> None:
        answer = html(page.get(THREADS, headers={**HTMX, "HX-Boosted": "true"}))
        assert "<main" in answer
        assert 'id="threads"' in answer

    def test_answers_vary_by_who_asks(self, page: Client, ada: Agent) -> None:
        assert "HX-Request" in page.get(THREADS)["Vary"]

    def test_the_address_that_is_kept_is_the_short_one(self, page: Client, ada: Agent) -> None:
        response = page.get(THREADS + "?q=&status=ERROR&active=&sort=activity", headers=HTMX)
        assert response["HX-Push-Url"] == THREADS + "?status=ERROR"
        assert "HX-Push-Url" not in page.get(THREADS + "?status=ERROR", headers=HTMX)

    def test_every_link_of_htmx_is_a_link_without_it(self, page: Client, ada: Agent) -> None:
        for n in range(3):
            write_thread(ada, f"s-{n}", [run(f"r{n}", at=NOW + n)] * (3 - n))
        for tag in re.findall(r"<a [^>]*hx-get[^>]*>", html(page.get(THREADS, {"q": "s-"}))):
            href, get = re.search(r' href="([^"]*)"', tag), re.search(r'hx-get="([^"]*)"', tag)
            assert href is not None
            assert get is not None
            if href[1] == get[1]:
                continue
            # a sort link takes along what the fields of the filter say
            assert re.fullmatch(re.escape(THREADS) + r"\?sort=\w+", get[1])
            there, here = page.get(unescape(href[1])), page.get(f"{get[1]}&q=s-")
            for part in (r"<th[^>]*aria-sort.*?</a>", r'<ul\s+class="chips".*?</ul>', r"<tbody>.*?</tbody>"):
                assert found(part, there) == found(part, here)


def found(part: str, answer: HttpResponse) -> str:
    there = re.search(part, html(answer), re.DOTALL)
    assert there is not None
    return there[0]


class TestWhoMay:
    def test_it_hides_another_agents_threads(self, page: Client, ada: Agent, bruno: Agent) -> None:
        named(bruno, "His")
        assert titles(page.get(THREADS)) == []
        assert titles(page.get(THREADS.replace("ada", "bruno"))) == ["His"]

    def test_an_agent_that_somebody_may_not_see_is_not_there(self, ada: Agent, bruno: Agent) -> None:
        user = new_person("privacy", bruno)
        client = signed_in(user)
        assert client.get(THREADS).status_code == 404
        assert client.get(THREADS.replace("ada", "bruno")).status_code == 200
        assert client.get(THREADS.replace("ada", "nobody")).status_code == 404

    @pytest.mark.parametrize("name", ["viewer", "operator"])
    def test_without_the_right_to_read_there_is_no_content(self, ada: Agent, name: str) -> None:
        write_thread(ada, "s1", [run("r1", "my secret", "your secret")])
        write_thread(ada, "s2", session_data={"session_name": "Named"})
        client = signed_in(person(name))
        for address in (THREADS, f"{THREADS}?q=secret", f"{THREADS}?q=s1"):
            said = (
                html(client.get(address)).replace('value="secret"', "").replace("“secret”", "").replace("q=secret", "")
            )
            assert "secret" not in said.replace("the filter secret", "")
        assert sorted(titles(client.get(THREADS))) == ["s1", "s2"]
        assert "Named" not in html(client.get(THREADS))
        assert titles(client.get(THREADS, {"q": "named"})) == []
        assert titles(client.get(THREADS, {"q": "secret"})) == []
        assert not links(client.get(THREADS), "/threads/s1/")

    @pytest.mark.parametrize(
        ("name", "may"), [("viewer", False), ("support", False), ("operator", False), ("privacy", True)]
    )
    def test_only_who_may_delete_sees_how(self, ada: Agent, name: str, may: bool) -> None:
        named(ada, "A")
        body = html(signed_in(person(name)).get(THREADS))
        assert ("delete-threads" in body) == may
        assert ('name="id"' in body) == may


def test_queries_do_not_grow_with_rows(page: Client, ada: Agent) -> None:
    def cost(**asked: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert page.get(THREADS, asked).status_code == 200
        sent = [q["sql"] for q in queries]
        assert not [s for s in sent if "run_data" in s or "agno_sessions" in s]
        return len(sent)

    page.get(THREADS)
    assert cost() <= 7
    write_thread(ada, "one")
    one = cost()
    for n in range(60):
        write_thread(ada, f"s{n}", [run(f"r{n}", user_id=f"u{n}"), run(f"x{n}", user_id="bob")])
    full = cost()
    assert one == full <= 6
    assert cost(user="bob", sort="runs", errors="", shared="1") == full
    # a search in what was said is logged, and may take longer than a page
    assert cost(q="hello", status="COMPLETED") <= 10


def test_it_says_that_threads_are_counted_anew(page: Client, ada: Agent) -> None:
    write_thread(ada, "t")
    with schema_context(ada.schema_name):
        repair.mark_all()
    assert "1 thread is not indexed yet: lists may lack it, or show it as it was." in text(page.get(THREADS))


@pytest.mark.parametrize("query", ["stauts=ERROR", "q=a&x=", "erorrs=1&sort=runs"])
@pytest.mark.parametrize("where", ["threads", "users", "a user"])
def test_a_filter_of_another_name_shows_nothing_and_is_said(page: Client, ada: Agent, where: str, query: str) -> None:
    write_thread(ada, "s1", user_id="alice")
    address = {"threads": THREADS, "users": "/agents/agt-ada/users/", "a user": "/agents/agt-ada/users/alice/"}[where]
    assert "s1" in html(page.get(address)) or where == "users"
    for headers in ({}, HTMX):
        answer = page.get(f"{address}?{query}", headers=headers)
        assert answer.status_code == 422
        said = text(answer)
        wrong = next(part.partition("=")[0] for part in query.split("&") if part[:2] not in ("q=", "so"))
        assert f"There is no filter “{wrong}” here." in said
        assert "Known are " in said
        assert not links(answer, "/threads/s1/")
    assert not AuditEvent.objects.filter(action="threads.search").exists()
