"""The Activity page: what was done with an agent, by whom, and where to find one event again."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from studio import token
from studio.agents import memory_settings, provision
from studio.audit.record import Actor, record
from studio.audit.search import PAGE
from studio.models import Agent
from tests.reading import event_ids, form_with, links, text
from tests.studio.audit.events import read
from tests.world import DANA, HTMX, OMAR, new_person, person, signed_in

ADA = "/agents/agt-ada/activity/"
PART = {**HTMX, "HX-Target": "audit"}


class TestEvents:
    def test_settings_changes_show_their_diff(self, page: Client, ada: Agent) -> None:
        memory_settings.save(DANA, ada, {"num_history_runs": 5, "max_tool_calls_from_history": 9}, 1)
        said = text(page.get(ADA))
        assert "Dana Levi 10.0.0.4 changed memory settings: v2" in said
        assert "No. of history runs 10 → to 5" in said
        assert "Max tool calls from history no cap → to 9" in said

    def test_deletions_show_their_counts_and_reason(self, page: Client, ada: Agent) -> None:
        data = {"counts": {"threads": 3, "runs": 1, "messages": 120}}
        record(DANA, "threads.delete", agent=ada, data=data, reason="asked for")
        assert "deleted threads 3 threads · 1 run · 120 messages Reason: asked for" in text(page.get(ADA))

    def test_edits_of_the_agent_show_their_diff_and_long_values_are_cut(self, page: Client, ada: Agent) -> None:
        provision.edit_agent(DANA, ada, name="Ada the second", instructions="Be brief. " * 500)
        response = page.get(ADA)
        said = text(response)
        assert "Name Ada's agent → to Ada the second" in said
        assert "Instructions empty → to Be brief." in said
        assert len(said) < 2000
        event = event_ids(response)[0]
        assert f"{ADA}?event={event}#event-{event}" in links(response)
        assert text(page.get(ADA, {"event": event})).count("Be brief.") == 500

    def test_reading_a_transcript_links_to_it(self, page: Client, ada: Agent) -> None:
        read(ada, session_id="a/b c")
        response = page.get(ADA)
        assert "read a transcript: a/b c" in text(response)
        assert "/agents/agt-ada/threads/~YS9iIGM/" in links(response)

    def test_signing_in_belongs_to_no_agent(self, page: Client, ada: Agent) -> None:
        record(DANA, "person.sign_in", object="d@example.com", data={"how": "link"})
        read(ada, DANA)
        response = page.get(ADA)
        assert "signed in" not in text(response)
        assert '<option value="sign-ins"' not in response.content.decode()
        assert "Dana Levi 10.0.0.4 signed in (link)" in text(page.get("/audit/"))

    def test_a_key_is_marked_as_one(self, page: Client, ada: Agent) -> None:
        read(ada, Actor("key", "7", "ci-deploy"))
        assert "ci-deploy key read a transcript" in text(page.get(ADA))

    def test_what_was_stored_is_text(self, page: Client, ada: Agent) -> None:
        evil = '<img src=x onerror="alert(1)">'
        data = {"changes": {evil: [evil, evil]}, "counts": {evil: 3}, "how": evil}
        record(Actor("person", "9", evil), "settings.save", agent=ada, object=evil, data=data, reason=evil)
        html = page.get(ADA).content.decode()
        assert "<img" not in html
        assert html.count("&lt;img src=x") >= 7

    def test_a_new_agent_has_the_event_of_its_making(self, page: Client, ada: Agent) -> None:
        assert "Agent Studio created the agent" in text(page.get(ADA))


class TestFilters:
    def test_kind_and_person_are_in_the_address(self, page: Client, ada: Agent) -> None:
        hers, his = read(ada, DANA), read(ada, OMAR)
        memory_settings.save(DANA, ada, {"num_history_runs": 5}, 1)
        assert event_ids(page.get(ADA, {"kind": "reading"})) == [his, hers]
        assert event_ids(page.get(ADA, {"kind": "reading", "who": "person:901"})) == [hers]

    def test_the_form_shows_what_is_chosen_and_can_be_cleared(self, page: Client, ada: Agent) -> None:
        read(ada, DANA)
        response = page.get(ADA, {"kind": "reading", "who": "person:901"})
        html = response.content.decode()
        assert '<option value="reading" selected>Reading</option>' in html
        assert '<option value="person:901" selected>Dana Levi</option>' in html
        assert "Clear filters" in text(response)

    def test_what_nothing_matches_is_another_text_than_nothing(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA, {"kind": "deletions"}))
        assert "No event matches" in said
        assert "Nothing has happened yet" not in said

    @pytest.mark.parametrize("kind", ["x", "\x00", "settings.save", "' or 1=1 --", "ü" * 3000, "sign-ins"])
    def test_an_unknown_kind_shows_nothing_and_says_so(self, page: Client, ada: Agent, kind: str) -> None:
        response = page.get(ADA, {"kind": kind})
        assert event_ids(response) == []
        assert "There is no kind “" in text(response)
        assert form_with(response, "kind").fields["kind"] == [kind.replace("\x00", "\ufffd")]

    @pytest.mark.parametrize(
        "who", ["x", ":", "person", "person:\x00", "PERSON:1", "person:' or 1=1", "p:" + "9" * 900, "person:12345"]
    )
    def test_an_unknown_person_shows_nothing_and_says_so(self, page: Client, ada: Agent, who: str) -> None:
        response = page.get(ADA, {"who": who})
        assert event_ids(response) == []
        assert "Nobody is known as “" in text(response)

    def test_days_are_in_utc_and_both_count(self, page: Client, ada: Agent) -> None:
        event, today = read(ada), timezone.now().date()
        before, after = str(today - timedelta(days=1)), str(today + timedelta(days=1))
        assert event in event_ids(page.get(ADA, {"since": str(today), "until": str(today)}))
        assert event_ids(page.get(ADA, {"since": after})) == event_ids(page.get(ADA, {"until": before})) == []
        html = page.get(ADA, {"since": before}).content.decode()
        assert f'name="since" value="{before}"' in html
        assert 'name="until"' in html

    def test_another_agent_is_no_filter_of_this_one(self, page: Client, ada: Agent) -> None:
        response = page.get(ADA, {"agent": "agt-bruno"})
        assert event_ids(response) == []
        assert "There is no filter “agent” here." in text(response)


class TestPages:
    def test_older_and_newest_are_links_that_keep_the_filters(self, page: Client, ada: Agent) -> None:
        made = [read(ada) for _ in range(PAGE + 3)][::-1]
        first = page.get(ADA, {"kind": "reading", "who": "person:901"})
        assert event_ids(first) == made[:PAGE]
        older = f"{ADA}?kind=reading&who=person%3A901&cursor={token.pack('audit', made[PAGE - 1])}"
        assert older in links(first)
        second = page.get(older)
        assert event_ids(second) == made[PAGE:]
        assert f"{ADA}?kind=reading&who=person%3A901" in links(second)

    def test_an_event_has_an_address_that_finds_it_on_any_page(self, page: Client, ada: Agent) -> None:
        made = [read(ada) for _ in range(PAGE + 30)]
        wanted = made[5]
        assert wanted not in event_ids(page.get(ADA))
        response = page.get(ADA, {"event": wanted})
        assert event_ids(response)[0] == wanted
        assert f'<tr id="event-{wanted}" class="wanted">' in response.content.decode()
        assert f"{ADA}?event={wanted}#event-{wanted}" in links(response)

    def test_another_agents_event_is_not_shown(self, page: Client, ada: Agent, bruno: Agent) -> None:
        theirs = read(bruno, session_id="secret-of-bruno")
        response = page.get(ADA, {"event": theirs})
        assert f"Event {theirs} is not here" in text(response)
        assert "secret-of-bruno" not in text(response)

    @pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 19, "9" * 400, "٣", "\x00"])
    def test_a_bad_cursor_is_the_first_page_and_a_bad_event_none(self, page: Client, ada: Agent, number: str) -> None:
        assert "created the agent" in text(page.get(ADA, {"cursor": number}))
        response = page.get(ADA, {"event": number})
        assert event_ids(response) == []
        assert "is not the number of an event." in text(response)
        assert "created the agent" in text(page.get(ADA, {"cursor": "", "event": ""}))

    def test_before_the_first_there_is_nothing_older(self, page: Client, ada: Agent) -> None:
        response = page.get(ADA, {"cursor": token.pack("audit", 1)})
        assert "There is nothing older." in text(response)

    def test_queries_do_not_grow_with_events_people_or_sign_ins(self, page: Client, ada: Agent) -> None:
        page.get(ADA)
        with CaptureQueriesContext(connection) as few:
            page.get(ADA)
        for number in range(PAGE + 10):
            actor = Actor("person", str(number), f"Person {number}")
            record(actor, "person.sign_in")
            read(ada, actor)
        page.get(ADA)
        with CaptureQueriesContext(connection) as many:
            page.get(ADA)
        assert len(many) == len(few) <= 4


class TestWhoMay:
    @pytest.mark.parametrize("name", ["viewer", "support", "operator", "privacy", "admin"])
    def test_each_role_may_look(self, ada: Agent, name: str) -> None:
        assert signed_in(person(name)).get(ADA).status_code == 200

    @pytest.mark.parametrize(("name", "may"), [("viewer", False), ("operator", False), ("support", True)])
    def test_only_who_reads_transcripts_gets_links_to_them(self, ada: Agent, name: str, may: bool) -> None:
        read(ada)
        found = links(signed_in(person(name)).get(ADA))
        assert ("/agents/agt-ada/threads/s-1/" in found) is may

    @pytest.mark.parametrize(("name", "may"), [("viewer", False), ("privacy", False), ("admin", True)])
    def test_only_an_admin_sees_addresses(self, ada: Agent, name: str, may: bool) -> None:
        read(ada)
        said = text(signed_in(person(name)).get(ADA))
        assert ("10.0.0.4" in said) is may

    def test_it_hides_another_agents_activity(self, ada: Agent, bruno: Agent) -> None:
        person = new_person("privacy", bruno)
        read(ada, session_id="secret-of-ada")
        client = signed_in(person)
        assert client.get(ADA).status_code == 404
        response = client.get("/agents/agt-bruno/activity/")
        assert response.status_code == 200
        assert "secret-of-ada" not in text(response)
        assert "Dana" not in text(response)


class TestFragment:
    def test_htmx_gets_the_list_and_everybody_else_the_page(self, page: Client, ada: Agent) -> None:
        whole, part = page.get(ADA), page.get(ADA, headers=PART)
        assert b"<!DOCTYPE html>" in whole.content
        assert part.content.strip().startswith(b'<div id="audit"')
        assert "HX-Request" in part.headers["Vary"]

    def test_a_boosted_link_gets_the_main_part_of_the_page(self, page: Client, ada: Agent) -> None:
        response = page.get(ADA, headers={**HTMX, "HX-Boosted": "true"})
        assert b"<main" in response.content

    def test_every_request_of_htmx_has_a_link_or_a_form_beside_it(self, page: Client, ada: Agent) -> None:
        for _ in range(PAGE + 1):
            read(ada)
        html: Any = page.get(ADA, {"kind": "reading"}).content.decode()
        for tag in re.findall(r"<(\w+)[^>]*? hx-get=\"([^\"]*)\"", html.split('id="audit"')[1]):
            assert f'href="{tag[1]}"' in html or f'action="{tag[1]}"' in html
