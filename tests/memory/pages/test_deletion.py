"""Deleting in the browser: what is asked first, what is checked again, and what is said afterwards."""

import json
import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from memory.services import deletion
from studio import ids
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, MemorySettings, User
from tests.markup import Form, Page
from tests.reading import html, links, text
from tests.world import HTMX, NOW, ODD_IDS, fails, new_person, person, run, session_ids, signed_in, write_thread

ASK = "/agents/agt-ada/delete-threads/"
NOW_URL = "/agents/agt-ada/delete-threads/now/"
THREADS = "/agents/agt-ada/threads/"
PAUL = Actor("person", "2", "Paul")
ON_LIST = {**HTMX, "HX-Current-URL": f"http://testserver{THREADS}"}


def form(response: HttpResponse) -> Form:
    return Page(html(response)).form("delete-threads/now")


def confirm(client: Client, asked: HttpResponse, headers: dict[str, str] | None = None, **typed: str) -> HttpResponse:
    """Send the question's form, filled in."""
    sent = form(asked)
    fields: dict[str, Any] = {**sent.fields, **typed}
    response: HttpResponse = client.post(sent.action, fields, headers=headers or {})
    return response


def three(agent: Agent) -> None:
    for n in range(3):
        runs = [run(f"r{n}", status="ERROR" if n else "COMPLETED"), run(f"x{n}", user_id="bob")]
        write_thread(agent, f"s{n}", runs, layout="both", at=NOW - n)


class TestAsking:
    def test_it_says_exactly_what_goes_and_what_stays(self, page: Client, ada: Agent) -> None:
        three(ada)
        said = text(page.get(ASK, {"id": ["s0", "s1"]}))
        assert "Delete 2 threads for good?" in said
        for fact in (
            "Threads 2",
            "Runs 4",
            "Messages 8",
            "People in them 2",
            "Rows of agno_sessions 2",
            "Rows of agno_runs 4",
            "Not touched: users' memories, traces, backups.",
        ):
            assert fact in said
        # the list has the tokens that were used: another figure under the same name would contradict it
        assert re.search(r"Text [\d.,]+ (B|KB)", said)
        assert "token" not in said.partition("Delete")[2]

    def test_one_thread_is_named_and_many_want_their_number(self, page: Client, ada: Agent) -> None:
        three(ada)
        one = page.get(ASK, {"id": "s0"})
        assert "Delete this thread for good?" in text(one)
        assert "Hello" in text(one)
        assert "confirm" not in form(one).fields
        assert "Type 2 to confirm" in text(page.get(ASK, {"id": ["s0", "s1"]}))

    def test_asking_deletes_nothing_by_either_method(self, page: Client, ada: Agent) -> None:
        three(ada)
        page.get(ASK, {"id": "s0"})
        page.post(ASK, {"id": ["s0", "s1"]})
        page.post(ASK, {"all": "1"})
        assert session_ids(ada) == {"s0", "s1", "s2"}

    def test_htmx_gets_a_dialog_and_everybody_else_a_page(self, page: Client, ada: Agent) -> None:
        three(ada)
        dialog = html(page.get(ASK, {"id": "s0"}, headers=HTMX))
        assert dialog.lstrip().startswith("<dialog")
        assert "<html" in html(page.get(ASK, {"id": "s0"}))
        assert "HX-Request" in page.get(ASK, {"id": "s0"})["Vary"]

    def test_the_lists_own_form_asks_for_what_is_ticked(self, page: Client, ada: Agent) -> None:
        three(ada)
        listed = Page(html(page.get(THREADS, {"errors": "1"})))
        sent = listed.form("delete-threads")
        asked = page.post(sent.action, {**sent.fields, "id": ["s1"]})
        assert "Delete this thread" in text(asked)
        asked = page.post(sent.action, {**sent.fields, "all": "1"})
        assert "Delete 2 threads for good?" in text(asked)
        assert "No thread selected" in text(page.post(sent.action, sent.fields))

    def test_all_that_match_follows_the_filter(self, page: Client, ada: Agent) -> None:
        three(ada)
        assert "Delete 3 threads" in text(page.get(ASK, {"all": "1"}))
        assert "Delete 2 threads" in text(page.get(ASK, {"all": "1", "errors": "1"}))
        assert "No thread matches any more" in text(page.get(ASK, {"all": "1", "user": "bob"}))
        assert "Delete 3 threads" in text(page.get(ASK, {"all": "1", "user": "bob", "part": "joined"}))
        assert "Delete 3 threads" in text(page.get(ASK, {"all": "1", "user": "alice@example.com"}))
        assert "No thread matches any more" in text(page.get(ASK, {"all": "1", "q": "nowhere"}))

    def test_above_ten_thousand_it_says_so(self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deletion, "MOST", 2)
        three(ada)
        asked = page.get(ASK, {"all": "1"})
        assert "More than 2 threads match" in text(asked)
        assert "delete-threads/now" not in html(asked)
        response = page.post(NOW_URL, {"all": "1", "expect": "3", "confirm": "3"})
        assert (response.status_code, session_ids(ada)) == (409, {"s0", "s1", "s2"})

    def test_a_thread_that_has_gone_is_no_error(self, page: Client, ada: Agent) -> None:
        asked = page.get(ASK, {"id": "gone"})
        assert asked.status_code == 200
        assert "This thread was deleted meanwhile." in text(asked)

    @pytest.mark.parametrize("bad", ["~!", "~AA", "a/b", "~YQ", "a\x00"])
    def test_an_id_that_we_did_not_write_is_refused(self, page: Client, ada: Agent, bad: str) -> None:
        assert page.get(ASK, {"id": bad}).status_code == 400
        assert page.post(NOW_URL, {"id": bad}).status_code == 400

    def test_a_thread_called_delete_is_a_thread(self, page: Client, ada: Agent) -> None:
        for name in ("delete", "delete-threads", "now"):
            write_thread(ada, name)
            assert not reverse("threads-delete", args=[ada.pk]).startswith(THREADS)
            assert confirm(page, page.get(ASK, {"id": name})).status_code == 303
        assert session_ids(ada) == set()


class TestDeleting:
    def test_one_goes_after_one_click(self, page: Client, ada: Agent) -> None:
        three(ada)
        response = confirm(page, page.get(ASK, {"id": "s0"}))
        assert (response.status_code, response["Location"]) == (303, THREADS)
        assert session_ids(ada) == {"s1", "s2"}
        after = page.get(THREADS)
        event = AuditEvent.objects.get(action="threads.delete")
        assert "Deleted 1 thread with 2 runs and 4 messages." in text(after)
        assert f"/agents/agt-ada/activity/?event={event.pk}" in links(after)
        assert (event.object, event.actor) == ("s0", "Admin")

    def test_several_go_when_their_number_is_typed(self, page: Client, ada: Agent) -> None:
        three(ada)
        asked = page.get(ASK, {"id": ["s0", "s1"]})
        for typed in ("", "1", "3", "two", "02x", "-2", "٢"):
            wrong = confirm(page, asked, confirm=typed)
            assert wrong.status_code == 422
            assert "That is not the number of threads" in text(wrong)
        assert len(session_ids(ada)) == 3
        assert confirm(page, asked, confirm=" 2 ").status_code == 303
        assert session_ids(ada) == {"s2"}

    def test_all_that_match_go_and_nothing_else(self, page: Client, ada: Agent) -> None:
        three(ada)
        assert confirm(page, page.get(ASK, {"all": "1", "errors": "1"}), confirm="2").status_code == 303
        assert session_ids(ada) == {"s0"}

    def test_a_period_stays_what_it_was_when_it_was_asked(self, page: Client, ada: Agent) -> None:
        three(ada)
        asked = page.get(ASK, {"all": "1", "active": "7d"})
        assert "active" not in form(asked).fields
        assert int(form(asked).fields["since"][0]) <= NOW
        assert confirm(page, asked, confirm="3").status_code == 303

    def test_when_more_match_it_asks_again(self, page: Client, ada: Agent) -> None:
        three(ada)
        asked = page.get(ASK, {"all": "1"})
        write_thread(ada, "late")
        again = confirm(page, asked, confirm="3")
        assert again.status_code == 409
        assert "4 threads match now; it was 3 when you looked. Nothing was deleted." in text(again)
        assert len(session_ids(ada)) == 4
        assert confirm(page, again, confirm="4").status_code == 303

    def test_when_others_match_it_asks_again_though_the_number_is_the_same(self, page: Client, ada: Agent) -> None:
        three(ada)
        asked = page.get(ASK, {"all": "1"})
        deletion.delete_threads(PAUL, ada, ["s0"])
        write_thread(ada, "late")
        again = confirm(page, asked, confirm="3")
        assert again.status_code == 409
        assert "Other threads match now" in text(again)
        assert len(session_ids(ada)) == 3

    def test_what_somebody_else_deleted_first_is_said_and_no_error(self, page: Client, ada: Agent) -> None:
        three(ada)
        asked, one = page.get(ASK, {"id": ["s0", "s1", "s2"]}), page.get(ASK, {"id": "s0"})
        deletion.delete_threads(PAUL, ada, ["s0"])
        assert confirm(page, asked, confirm="3").status_code == 303
        assert "Deleted 2 threads with 4 runs and 8 messages. 1 other thread had been deleted already." in text(
            page.get(THREADS)
        )
        assert confirm(page, one).status_code == 303
        assert "Nothing was left to delete: somebody else deleted it first." in text(page.get(THREADS))

    def test_a_busy_agent_is_told_apart_from_an_error(
        self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        three(ada)
        asked = page.get(ASK, {"id": "s0"})

        monkeypatch.setattr(deletion, "delete_threads", fails(deletion.Busy()))
        response = confirm(page, asked)
        assert response.status_code == 409
        assert "An agent is writing to one of these threads right now" in text(response)

    @pytest.mark.parametrize("odd", ODD_IDS)
    def test_any_id_is_deleted_from_its_row_a_selection_and_its_user(self, page: Client, ada: Agent, odd: str) -> None:
        for later, way in enumerate(("row", "selection", "user")):
            # later each time, as what is no newer than what was deleted would not be stored
            write_thread(ada, odd, [run("r1")], user_id=odd, at=NOW + later)
            write_thread(ada, f"other-{way}", user_id="other")
            key = ids.encode(odd)
            if way == "row":
                asked = page.get(f"{ASK}?id={key}")
            elif way == "selection":
                asked = page.post(ASK, {"id": [key, f"other-{way}"]})
            else:
                asked = page.get(f"{ASK}?all=1&user={key}")
            assert confirm(page, asked, confirm="2").status_code == 303
            assert odd not in session_ids(ada)

    def test_it_returns_to_the_list_it_came_from(self, page: Client, ada: Agent) -> None:
        three(ada)
        write_thread(ada, "hers", user_id="eve")
        origin = "http://testserver"
        for came_from, goes_to in (
            (f"{origin}{THREADS}?errors=1&sort=runs", f"{THREADS}?errors=1&sort=runs"),
            (f"{origin}/agents/agt-ada/users/bob/?q=a", "/agents/agt-ada/users/bob/?q=a"),
            (f"{origin}{THREADS}s0/", THREADS),
            ("https://evil.example/agents/agt-ada/threads/", THREADS),
            ("//evil.example/", THREADS),
            (f"{origin}/agents/agt-bruno/threads/", THREADS),
            ("javascript:alert(1)", THREADS),
        ):
            asked = page.get(ASK, {"id": "s0"}, headers={"Referer": came_from})
            assert form(asked).fields["back"] == [goes_to]
            forged = page.post(NOW_URL, {"id": "none", "back": came_from})
            assert forged["Location"] == goes_to
        asked = page.get(ASK, {"id": "hers"}, headers={"Referer": f"{origin}/agents/agt-ada/users/eve/"})
        assert confirm(page, asked)["Location"] == "/agents/agt-ada/users/"


class TestHtmx:
    def test_on_a_list_it_says_so_and_lets_the_rows_refresh_themselves(self, page: Client, ada: Agent) -> None:
        three(ada)
        response = confirm(page, page.get(ASK, {"id": "s0"}, headers=ON_LIST), headers=ON_LIST)
        assert response.status_code == 200
        assert list(json.loads(response["HX-Trigger"])) == ["threads-deleted"]
        assert html(response).lstrip().startswith('<div class="messages"')
        assert "Deleted 1 thread" in text(response)
        assert "Deleted" not in text(page.get(THREADS))
        assert "threads-deleted from:body" in html(page.get(THREADS))

    def test_anywhere_else_it_goes_to_the_list(self, page: Client, ada: Agent) -> None:
        three(ada)
        transcript = {**HTMX, "HX-Current-URL": f"http://testserver{THREADS}s0/"}
        response = confirm(page, page.get(ASK, {"id": "s0"}, headers=transcript), headers=transcript)
        assert response["HX-Redirect"] == THREADS
        assert "Deleted 1 thread" in text(page.get(THREADS))

    def test_a_user_who_is_gone_has_no_page_to_stay_on(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "hers", user_id="eve")
        on_page = {**HTMX, "HX-Current-URL": "http://testserver/agents/agt-ada/users/eve/"}
        asked = page.get(ASK, {"all": "1", "user": "eve"}, headers=on_page)
        assert confirm(page, asked, headers=on_page)["HX-Redirect"] == "/agents/agt-ada/users/"

    def test_asking_again_replaces_the_dialog(self, page: Client, ada: Agent) -> None:
        three(ada)
        asked = page.get(ASK, {"id": ["s0", "s1"]}, headers=ON_LIST)
        response = confirm(page, asked, headers=ON_LIST, confirm="7")
        assert response.status_code == 422
        assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#delete-dialog", "outerHTML")
        assert 'id="delete-dialog"' in html(response)


class TestWhoMay:
    def test_deleting_is_by_post_only(self, page: Client, ada: Agent) -> None:
        three(ada)
        for method in ("get", "head", "put", "delete"):
            assert getattr(page, method)(NOW_URL, {"id": "s0"}).status_code == 405
        for method in ("put", "delete", "patch"):
            assert getattr(page, method)(ASK).status_code == 405
        assert len(session_ids(ada)) == 3

    def test_it_needs_a_csrf_token(self, admin: User, ada: Agent) -> None:
        three(ada)
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin)
        assert client.post(NOW_URL, {"id": "s0", "expect": "1"}).status_code == 403
        assert len(session_ids(ada)) == 3

    @pytest.mark.parametrize("name", ["viewer", "support", "operator"])
    def test_who_may_not_delete_is_refused(self, ada: Agent, name: str) -> None:
        three(ada)
        client = signed_in(person(name))
        for response in (
            client.get(ASK, {"id": "s0"}),
            client.post(ASK, {"id": "s0"}),
            client.post(NOW_URL, {"id": "s0", "expect": "1"}),
        ):
            assert response.status_code == 403
        assert len(session_ids(ada)) == 3

    def test_a_privacy_officer_may(self, ada: Agent) -> None:
        three(ada)
        client = signed_in(person("privacy"))
        assert confirm(client, client.get(ASK, {"id": "s0"})).status_code == 303
        assert AuditEvent.objects.get(action="threads.delete").actor == "Privacy"

    def test_a_forged_id_of_another_agent_names_nothing(self, page: Client, ada: Agent, bruno: Agent) -> None:
        write_thread(bruno, "his")
        assert "deleted meanwhile" in text(page.get(ASK, {"id": "his"}))
        page.post(NOW_URL, {"id": "his", "expect": "1"})
        assert session_ids(bruno) == {"his"}

    def test_an_agent_that_somebody_may_not_see_is_not_there(self, ada: Agent, bruno: Agent) -> None:
        three(ada)
        user = new_person("privacy", bruno)
        client = signed_in(user)
        assert client.get(ASK, {"id": "s0"}).status_code == 404
        assert client.post(NOW_URL, {"id": "s0", "expect": "1"}).status_code == 404
        assert len(session_ids(ada)) == 3

    def test_what_an_agent_of_another_framework_holds_is_deleted(self, page: Client, ada: Agent) -> None:
        three(ada)
        write_thread(ada, "hers", user_id="eve")
        Agent.objects.filter(pk=ada.pk).update(framework="langchain")
        shown = page.get(THREADS)
        assert "4 threads are still stored from when it was an Agno agent." in text(shown)
        assert THREADS in links(page.get("/agents/agt-ada/memory/"))
        of_one = next(form for form in Page(html(shown)).forms if "user" in form.fields)
        asked = page.get(of_one.action, {**of_one.fields, "user": "eve"})
        assert "Owner eve" in text(asked)
        assert confirm(page, asked).status_code == 303
        assert session_ids(ada) == {"s0", "s1", "s2"}
        assert confirm(page, page.get(ASK, {"all": "1"}), confirm="3").status_code == 303
        assert session_ids(ada) == set()
        assert "still stored" not in text(page.get(THREADS))
        assert THREADS not in links(page.get("/agents/agt-ada/memory/"))

    def test_who_may_not_delete_is_not_offered_it(self, ada: Agent) -> None:
        three(ada)
        Agent.objects.filter(pk=ada.pk).update(framework="langchain")
        assert links(signed_in(person("viewer")).get(THREADS), "delete-threads") == []

    def test_storage_that_is_off_keeps_nothing(self, page: Client, ada: Agent) -> None:
        three(ada)
        MemorySettings.objects.filter(agent=ada).update(session_storage=False)
        assert confirm(page, page.get(ASK, {"id": "s0"})).status_code == 303
        assert confirm(page, page.get(ASK, {"all": "1"}), confirm="2").status_code == 303
        assert session_ids(ada) == set()
