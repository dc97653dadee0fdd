"""The sidebar's agents."""

import re
from typing import Any

from django.test import Client
from pytest_django import DjangoAssertNumQueries

from studio.agents import sidebar
from studio.models import Agent, MemorySettings
from tests.markup import Page
from tests.reading import links
from tests.world import new_person, signed_in


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

    def test_all_agents_are_all_whatever_the_page_searches_for(self, page: Client, ada: Agent) -> None:
        for path in ("/agents/?q=ada", "/people/?q=ada", "/agents/agt-ada/threads/?q=x", "/agents/agt-ada/users/?q=x"):
            assert '<a class="all" href="/agents/"' in side(page.get(path))

    def test_capital_letters_do_not_come_first(self, page: Client, ada: Agent, bruno: Agent) -> None:
        Agent.objects.filter(pk="agt-ada").update(name="ada's agent")
        for path in ("/agents/new/", "/agents/agt-bruno/edit/"):
            shown = side(page.get(path))
            assert shown.index("ada") < shown.index("Bruno")

    def test_it_costs_one_query_however_many_agents(
        self, page: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        page.get("/agents/new/")
        with django_assert_num_queries(2):  # session and person with grants, sidebar
            page.get("/agents/new/")
        Agent.objects.bulk_create(Agent(id=f"x{n}", name=f"X {n}", schema_name=f"ag_x{n}") for n in range(30))
        with django_assert_num_queries(2):
            page.get("/agents/new/")

    def test_its_search_is_a_form_that_works_without_scripts(self, page: Client, ada: Agent) -> None:
        form = next(f for f in Page(page.get("/agents/new/").content.decode()).forms if f.action == "/agents/")
        assert (form.method, form.fields) == ("get", {"q": [""]})

    def test_whoever_is_signed_in_can_sign_out(self, page: Client) -> None:
        assert Page(page.get("/agents/").content.decode()).form("/sign-out/")
