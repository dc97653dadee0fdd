"""What is around every page."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from studio.agents import sidebar
from studio.models import Agent, MemorySettings, User
from tests.markup import Page
from tests.reading import links, text
from tests.world import new_person, person, signed_in

PAGES = ["/agents/", "/agents/new/", "/account/password/", "/agents/agt-ada/edit/", "/agents/agt-ada/remove/"]
CLOSED_PAGES = ["/sign-in/", "/sign-in/expired/", "/account/password/forgotten/", "/no/such/page"]


def side(response: Any) -> str:
    """The sidebar's list of agents."""
    html: str = response.content.decode()
    start = html.index('<nav id="side-agents"')
    return html[start : html.index("</nav>", start)]


class TestSidebar:
    def test_it_lists_agents_and_marks_the_one_of_the_page(self, page: Client, ada: Agent, bruno: Agent) -> None:
        shown = side(page.get("/agents/agt-ada/edit/"))
        assert shown.index("Ada") < shown.index("Bruno")
        assert re.search(r'href="/agents/agt-ada/memory/" aria-current="true"', shown)
        assert not re.search(r'href="/agents/agt-bruno/memory/" aria-current', shown)

    def test_it_hides_agents_that_the_person_may_not_see(self, ada: Agent, bruno: Agent) -> None:
        guest = new_person("viewer", bruno)
        shown = side(signed_in(guest).get("/no/such/page"))
        assert "Bruno" in shown
        assert "Ada" not in shown

    def test_its_dot_says_whether_session_storage_is_on(self, page: Client, ada: Agent, bruno: Agent) -> None:
        MemorySettings.objects.filter(agent=bruno).update(session_storage=False)
        Agent.objects.filter(pk=ada.pk).update(framework="langchain")
        shown = side(page.get("/agents/new/"))
        assert 'class="dot off" title="Session storage not available"' in shown
        assert 'class="dot off" title="Session storage off"' in shown
        assert 'class="dot"' not in shown

    def test_it_stops_at_forty_and_leads_to_all(self, page: Client, db: None) -> None:
        Agent.objects.bulk_create(
            Agent(id=f"x{n:03}", name=f"Agent {n:03}", schema_name=f"ag_x{n:03}") for n in range(60)
        )
        answer = page.get("/agents/new/")
        assert side(answer).count("<li>") == sidebar.SIDEBAR
        assert "/agents/" in links(answer)
        # and the one of the page
        assert side(page.get("/agents/x059/edit/")).count("<li>") == sidebar.SIDEBAR + 1

    def test_capital_letters_do_not_come_first(self, page: Client, ada: Agent, bruno: Agent) -> None:
        Agent.objects.filter(pk="agt-ada").update(name="ada's agent")
        for path in ("/agents/new/", "/agents/agt-bruno/edit/"):
            shown = side(page.get(path))
            assert shown.index("ada") < shown.index("Bruno")

    def test_it_costs_one_query_however_many_agents(
        self, page: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(3):  # session, person and grants, sidebar
            page.get("/agents/new/")
        Agent.objects.bulk_create(Agent(id=f"x{n}", name=f"X {n}", schema_name=f"ag_x{n}") for n in range(30))
        with django_assert_num_queries(3):
            page.get("/agents/new/")

    def test_its_search_is_a_form_that_works_without_scripts(self, page: Client, ada: Agent) -> None:
        form = next(f for f in Page(page.get("/agents/new/").content.decode()).forms if f.action == "/agents/")
        assert (form.method, form.fields) == ("get", {"q": [""]})

    def test_whoever_is_signed_in_can_sign_out(self, page: Client) -> None:
        assert Page(page.get("/agents/").content.decode()).form("/sign-out/")


class TestTabs:
    def shown(self, client: Client) -> list[str]:
        html = client.get("/agents/agt-ada/memory/").content.decode()
        start = html.index('<nav class="tabs"')
        return re.findall(r">(\w+)</a>", html[start : html.index("</nav>", start)])

    def test_an_agno_agent_has_four(self, page: Client, ada: Agent) -> None:
        assert self.shown(page) == ["Memory", "Threads", "Users", "Activity"]

    def test_other_frameworks_have_no_threads_and_users(self, page: Client, ada: Agent) -> None:
        Agent.objects.filter(pk=ada.pk).update(framework="strands-agents")
        assert self.shown(page) == ["Memory", "Activity"]

    def test_the_open_one_is_marked(self, page: Client, ada: Agent) -> None:
        assert (
            b'href="/agents/agt-ada/memory/" aria-current="page">Memory' in page.get("/agents/agt-ada/memory/").content
        )

    def test_the_header_names_the_agent(self, page: Client, ada: Agent) -> None:
        answer = page.get("/agents/agt-ada/memory/")
        assert "Ada's agent agt-ada Agno gpt-4o-mini storage on" in text(answer)
        assert b'data-copy="agt-ada"' in answer.content
        assert "Memory · Ada's agent · Agent Studio" in text(answer)

    def test_edit_is_offered_to_admins_only(self, page: Client, ada: Agent) -> None:
        assert "/agents/agt-ada/edit/" in links(page.get("/agents/agt-ada/memory/"))
        operator = signed_in(person("operator"))
        assert "/agents/agt-ada/edit/" not in links(operator.get("/agents/agt-ada/memory/"))


@pytest.mark.parametrize("path", PAGES + CLOSED_PAGES)
class TestEveryPage:
    def html(self, page: Client, ada: Agent, path: str) -> str:
        client = page if path in PAGES else Client()
        return client.get(path).content.decode()

    def test_it_has_no_inline_script_style_or_handler(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert not re.search(r"<script(?![^>]*\ssrc=)", html)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)

    def test_it_loads_nothing_from_elsewhere(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert not re.findall(r'(?:src|href|action)="(?!/|\?|#|data:)[^"]', html)

    def test_it_has_one_heading_one_main_and_a_way_past_the_frame(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert len(re.findall(r"<h1", html)) == 1
        assert len(re.findall(r'<main[^>]* id="main"', html)) == 1
        assert '<a class="skip" href="#main">' in html
        assert re.search(r"<title>\s*\S[^<]* · Agent Studio\s*</title>", html)

    def test_messages_are_announced(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert 'id="messages" role="status"' in html
        assert 'id="toasts" role="status"' in html

    def test_htmx_may_neither_evaluate_nor_leave_the_site(self, page: Client, ada: Agent, path: str) -> None:
        found = re.search(r'<meta name="htmx-config" content="([^"]+)">', self.html(page, ada, path))
        assert found
        config = json.loads(unescape(found[1]))
        assert config["allowEval"] is False
        assert config["allowScriptTags"] is False
        assert config["selfRequestsOnly"] is True
        assert config["historyCacheSize"] == 0
        assert config["includeIndicatorStyles"] is False
        assert config["historyRestoreAsHxRequest"] is False

    def test_its_policy_lets_the_browser_load_our_own_files_only(self, page: Client, ada: Agent, path: str) -> None:
        client = page if path in PAGES else Client()
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_every_htmx_request_carries_the_csrf_token(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    html = client.get("/agents/").content.decode()
    found = re.search(r"<body hx-headers='\{\"X-CSRFToken\": \"(\w+)\"\}'>", html)
    assert found
    answer = client.post("/agents/new/", {}, headers={"X-CSRFToken": found[1]})
    assert answer.status_code == 422


@pytest.mark.parametrize("role", ["viewer", "support", "operator", "privacy"])
def test_what_is_for_admins_is_absent_for_other_roles(db: None, role: str) -> None:
    shown = links(signed_in(person(role)).get("/agents/"))
    assert not {"/audit/", "/people/", "/keys/", "/agents/new/"} & set(shown)
