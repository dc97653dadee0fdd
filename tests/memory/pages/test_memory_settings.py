"""The Memory tab: what it shows, and to whom."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio.agents import memory_settings
from studio.audit.record import Actor
from studio.models import Agent, MemorySettings, User
from tests.markup import Page
from tests.memory.pages.memory_tab import ADA, PART, RESTORE, by_dana, filled, form, langchain, saved
from tests.reading import links, text
from tests.world import HTMX, new_person, person, run, signed_in, write_thread


class TestLooking:
    def test_the_sections_stand_in_the_order_of_the_agents_settings(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        places = [
            said.index(label)
            for label in (
                "Session storage",
                "No. of history runs",
                "Max tool calls from history",
                "Session summaries",
                "What agents get",
                "Versions",
            )
        ]
        assert places == sorted(places)

    def test_each_section_says_its_default(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        for default in ("Default: on", "Default: 10", "0 means no cap. Default: 0", "Default: off"):
            assert default in said

    def test_it_says_when_settings_take_effect_and_what_summaries_cost(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        assert "Takes effect when the agent is next loaded." in said
        assert "One more model call each turn, and the summary joins the system message." in said
        assert "runs that failed, were paused or cancelled, and sub-runs are left out" in said

    def test_the_form_holds_the_saved_values(self, page: Client, ada: Agent) -> None:
        by_dana(ada, num_history_runs=7, max_tool_calls_from_history=40, session_summaries=True)
        fields = form(page.get(ADA)).fields
        assert fields["version"] == ["2"]
        assert fields["num_history_runs"] == ["7"]
        assert fields["max_tool_calls_from_history"] == ["40"]
        assert fields["session_storage"] == ["off", "on"]  # the last one is what counts
        assert fields["session_summaries"] == ["off", "on"]

    def test_it_shows_what_agents_get_by_name(self, page: Client, ada: Agent) -> None:
        said = text(page.get(ADA))
        assert "session_storage true num_history_runs 10" in said
        assert "max_tool_calls_from_history no cap session_summaries false" in said

    def test_with_storage_off_the_others_are_disabled_and_say_why(self, page: Client, ada: Agent) -> None:
        by_dana(ada, session_storage=False, num_history_runs=7)
        response = page.get(ADA)
        html = response.content.decode()
        assert html.count("Needs session storage, which is off. The saved value is kept.") == 3
        assert '<fieldset class="bare" id="history" disabled>' in html
        assert '<fieldset class="bare" id="summaries" disabled>' in html
        said = text(response)
        assert "session_storage false num_history_runs 7 not used" in said
        assert "With storage off an agent gets no database" in said

    def test_storage_that_is_on_disables_nothing(self, page: Client, ada: Agent) -> None:
        assert " disabled>" not in page.get(ADA).content.decode()

    def test_the_presets_are_those_of_the_design(self, page: Client, ada: Agent) -> None:
        html = page.get(ADA).content.decode()
        assert [n for n in range(1001) if f'data-preset="{n}"' in html] == [3, 5, 10, 20]

    def test_another_framework_is_shown_disabled_with_the_reason(self, page: Client, ada: Agent) -> None:
        langchain(ada)
        response = page.get(ADA)
        assert "LangChain agents keep their history by themselves" in text(response)
        html = response.content.decode()
        assert all(one.endswith(" disabled>") for one in re.findall("<fieldset class=.bare.[^>]*>", html))
        assert not [one for one in Page(html).forms if one.action in (ADA, RESTORE)]

    def test_threads_and_users_are_not_offered_for_another_framework(self, page: Client, ada: Agent) -> None:
        langchain(ada)
        found = links(page.get(ADA))
        assert "/agents/agt-ada/activity/" in found
        assert "/agents/agt-ada/threads/" not in found

    def test_htmx_gets_the_fragment_and_everybody_else_the_page(self, page: Client, ada: Agent) -> None:
        whole, part = page.get(ADA), page.get(ADA, headers=PART)
        assert b"<!DOCTYPE html>" in whole.content
        assert b"<!DOCTYPE html>" not in part.content
        assert part.content.strip().startswith(b'<div class="columns" id="memory">')
        assert "HX-Request" in whole.headers["Vary"]

    def test_the_frame_asks_for_the_whole_page(self, page: Client, ada: Agent) -> None:
        frame = page.get(ADA, headers={**HTMX, "HX-Target": "agent-head"})
        assert b'id="agent-head"' in frame.content
        assert b'id="side-agents"' in frame.content

    def test_queries_do_not_grow_with_threads_or_versions(self, page: Client, ada: Agent) -> None:
        page.get(ADA)
        with CaptureQueriesContext(connection) as few:
            page.get(ADA)
        for number in range(15):
            write_thread(ada, f"s-{number}", [run(f"r-{number}")])
            by_dana(ada, num_history_runs=100 + number)
        page.get(ADA)
        with CaptureQueriesContext(connection) as many:
            page.get(ADA)
        assert len(many) == len(few) <= 5

    def test_no_transcript_is_read(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s")
        with CaptureQueriesContext(connection) as queries:
            page.get(ADA)
        for query in queries:
            assert "agno_" not in query["sql"]


class TestWhoMay:
    @pytest.mark.parametrize("name", ["viewer", "support", "privacy"])
    def test_a_reader_sees_the_values_and_no_controls(self, ada: Agent, name: str) -> None:
        by_dana(ada, num_history_runs=7)
        by_dana(ada, max_tool_calls_from_history=40)
        response = signed_in(person(name)).get(ADA)
        assert response.status_code == 200
        said = text(response)
        assert "You can read these settings." in said
        assert "No. of history runs 7" in said
        assert "Max tool calls from history 40" in said
        found = Page(response.content.decode())
        assert not [one for one in found.forms if one.action in (ADA, RESTORE)]
        assert b'name="num_history_runs"' not in response.content
        assert b"data-preset" not in response.content
        assert "Save" not in said.split("What agents get")[0].split("Session storage")[-1]

    @pytest.mark.parametrize("name", ["viewer", "support", "privacy"])
    def test_a_reader_is_refused_by_the_server_too(self, page: Client, ada: Agent, name: str) -> None:
        assert signed_in(person(name)).post(ADA, filled(page, num_history_runs="5")).status_code == 403
        assert signed_in(person(name)).post(RESTORE, {"version": "1", "base": "1"}).status_code == 403
        assert saved(ada).version == 1

    @pytest.mark.parametrize("name", ["operator", "admin"])
    def test_an_operator_and_an_admin_may_save(self, page: Client, ada: Agent, name: str) -> None:
        assert signed_in(person(name)).post(ADA, filled(page, num_history_runs="5")).status_code == 303

    def test_an_operator_of_one_agent_may_not_see_another(self, ada: Agent, bruno: Agent) -> None:
        person = new_person("operator", bruno)
        client = signed_in(person)
        assert client.get("/agents/agt-bruno/memory/").status_code == 200
        assert client.get(ADA).status_code == 404
        assert client.post(ADA, {"num_history_runs": "5", "version": "1"}).status_code == 404
        assert client.post(RESTORE, {"version": "1", "base": "1"}).status_code == 404
        assert saved(ada).version == 1

    def test_it_shows_this_agents_settings_only(self, page: Client, ada: Agent, bruno: Agent) -> None:
        by_dana(bruno, num_history_runs=77)
        write_thread(bruno, "s", [run("r")])
        response = page.get(ADA)
        assert form(response).fields["num_history_runs"] == ["10"]
        assert "latest thread" not in text(response)

    def test_an_agent_removed_while_it_is_saved_is_not_found(
        self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = filled(page, num_history_runs="5")

        def removed(*_: Any, **__: Any) -> None:
            raise MemorySettings.DoesNotExist

        monkeypatch.setattr("studio.agents.memory_settings.save", removed)
        assert page.post(ADA, data).status_code == 404
        assert page.post(RESTORE, {"version": "1", "base": "1"}).status_code == 404

    def test_an_agent_whose_tables_are_missing_says_so(self, admin: User) -> None:
        agent = Agent.objects.create(id="agt-lost", name="Lost", schema_name="ag_agt_lost")
        MemorySettings.objects.create(agent=agent)
        client = Client(raise_request_exception=False)
        client.force_login(admin)
        response = client.get("/agents/agt-lost/memory/")
        assert response.status_code == 503
        assert "This agent's tables are missing" in text(response)

    def test_an_unknown_agent_is_not_found(self, page: Client) -> None:
        assert page.get("/agents/agt-nobody/memory/").status_code == 404

    def test_a_form_of_another_site_is_refused(self, admin: User, ada: Agent) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin)
        assert client.post(ADA, {"num_history_runs": "5", "version": "1"}).status_code == 403
        assert saved(ada).version == 1


class TestHostileNames:
    def test_names_of_people_are_text(self, page: Client, ada: Agent) -> None:
        memory_settings.save(Actor("person", "9", '<img src=x onerror="alert(1)">'), ada, {"num_history_runs": 3}, 1)
        html = page.get(ADA).content.decode()
        assert "<img" not in html
        assert "&lt;img src=x" in html
