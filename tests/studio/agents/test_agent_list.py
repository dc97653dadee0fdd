"""The list of agents: rows, pages and figures."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from studio.agents import listing, provision
from studio.audit.record import Actor
from studio.models import Agent, User
from tests.reading import links, text
from tests.studio.agents.agents import LIST, row_only
from tests.world import HTMX, NOW, new_person, person, run, signed_in, write_thread


def make(agent_id: str, name: str = "Clara's agent", **fields: Any) -> Agent:
    return provision.create_agent(Actor.system(), agent_id=agent_id, name=name, **fields)


class TestTheList:
    def test_it_shows_each_agent_with_its_threads_and_last_activity(self, page: Client, ada: Agent) -> None:
        for number in range(3):
            write_thread(ada, f"s-{number}", [run(f"r-{number}")], at=NOW - 5400 + number)
        shown = text(page.get(LIST))
        assert "Ada's agent agt-ada Agno storage on 3 threads active 1 h ago" in shown
        assert "Bruno's agent agt-bruno Agno storage on 0 threads never active" in shown

    def test_it_is_where_the_root_leads(self, page: Client) -> None:
        assert page.get("/").headers["location"] == LIST

    def test_it_asks_strangers_to_sign_in(self, db: None) -> None:
        assert Client().get(LIST).headers["location"] == "/sign-in/?next=/agents/"

    def test_it_hides_agents_that_the_person_may_not_see(self, ada: Agent, bruno: Agent) -> None:
        guest = new_person("viewer", ada)
        shown = text(signed_in(guest).get(LIST))
        assert "Ada's agent" in shown
        assert "Bruno" not in shown
        assert "Bruno" not in text(signed_in(guest).get(LIST, {"q": "bruno"}))

    def test_it_says_what_will_appear_to_somebody_without_agents(self, db: None) -> None:
        shown = text(signed_in(User.objects.create_user("guest@example.com")).get(LIST))
        assert "Agents that an admin lets you see will appear here." in shown

    @pytest.mark.parametrize("q", ["ADA'S", "agt-ada", "AGT-A", "  ada  "])
    def test_it_finds_by_name_and_id(self, page: Client, ada: Agent, q: str) -> None:
        table = text(page.get(LIST, {"q": q}, headers=HTMX))
        assert "Ada's agent" in table
        assert "Bruno's agent" not in table

    @pytest.mark.parametrize("q", ["%", "_gt", "\\", "' or 1=1 --", "💥"])
    def test_it_takes_the_search_literally(self, page: Client, q: str) -> None:
        shown = page.get(LIST, {"q": q})
        assert shown.status_code == 200
        assert f"No agent matches “{q}”" in text(shown)

    def test_it_answers_htmx_with_the_table_alone(self, page: Client, ada: Agent) -> None:
        answer = page.get(LIST, headers=HTMX)
        assert answer.content.strip().startswith(b'<div id="agents"')
        assert {"HX-Request", "HX-Target"} <= {name.strip() for name in answer.headers["vary"].split(",")}

    def test_it_answers_the_sidebar_with_names(self, page: Client, ada: Agent) -> None:
        answer = page.get(LIST, {"q": "ada"}, headers={**HTMX, "hx-target": "side-agents"})
        assert answer.content.strip().startswith(b'<nav id="side-agents"')
        assert "Ada's agent" in text(answer)
        assert "Bruno" not in text(answer)

    def test_an_agent_without_its_schema_is_marked_and_breaks_nothing(self, page: Client, ada: Agent) -> None:
        row_only("agt-lost", "Lost agent")
        shown = text(page.get(LIST))
        assert "Lost agent agt-lost Agno storage on not provisioned" in shown
        assert "Ada's agent" in shown

    def test_an_agent_of_another_framework_has_no_threads_to_count(self, page: Client) -> None:
        make("agt-chain", "Chain", framework="langchain")
        assert "Chain agt-chain LangChain storage not available — —" in text(page.get(LIST))

    def test_an_inactive_agent_is_marked(self, page: Client, ada: Agent) -> None:
        Agent.objects.filter(pk=ada.pk).update(status="INACTIVE")
        assert "agt-ada Inactive" in text(page.get(LIST))

    def test_it_shows_a_hostile_name_as_text(self, page: Client) -> None:
        row_only("agt-evil", '<script>alert(1)</script>"&')
        answer = page.get(LIST)
        assert b"<script>alert" not in answer.content
        assert '<script>alert(1)</script>"&' in text(page.get(LIST))

    def test_new_is_offered_to_admins_only(self, page: Client, db: None) -> None:
        assert "/agents/new/" in links(page.get(LIST))
        assert b"/agents/new/" not in signed_in(person("operator")).get(LIST).content


class TestItsPages:
    def walk(self, page: Client, way: str, address: str = LIST) -> list[list[str]]:
        """Follow the links of one direction, older or newer, and return the ids on each page."""
        pages = []
        while address:
            context = page.get(address, headers=HTMX).context
            pages.append([agent.pk for agent in context["page"].agents])
            address = context[way]
        return pages

    @pytest.fixture
    def many(self, db: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        for number in range(7):
            row_only(f"x-{number}", "Équipe\n" if number % 2 else "équipe")
        monkeypatch.setattr(listing.page, "__kwdefaults__", {**listing.page.__kwdefaults__, "limit": 4})
        return [agent.pk for agent in listing.page(Agent.objects.all(), limit=100).agents]

    def test_they_hold_each_agent_once_forwards_and_backwards(self, page: Client, many: list[str]) -> None:
        forwards = self.walk(page, "older")
        assert [pk for ids in forwards for pk in ids] == many
        assert [len(ids) for ids in forwards] == [4, 4, 1]
        second = page.get(page.get(LIST, headers=HTMX).context["older"], headers=HTMX)
        last = page.get(second.context["older"], headers=HTMX)
        backwards = self.walk(page, "newer", last.context["newer"])
        assert [pk for ids in reversed(backwards) for pk in ids] == many[:8]

    def test_they_keep_the_search(self, page: Client, many: list[str]) -> None:
        following = next(link for link in links(page.get(LIST, {"q": "équipe"})) if "cursor=" in link)
        assert "q=%C3%A9quipe" in following

    @pytest.mark.parametrize("token", ["x", "~", "~AA", "~" + "A" * 300, "%00", "~7aCA"])
    def test_a_token_from_elsewhere_is_the_first_page(self, page: Client, many: list[str], token: str) -> None:
        answer = page.get(f"{LIST}?cursor={token}", headers=HTMX)
        assert answer.status_code == 200
        assert [agent.pk for agent in answer.context["page"].agents] == many[:4]


class TestItsFigures:
    def test_queries_do_not_grow_with_agents(
        self, page: Client, ada: Agent, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        page.get(LIST)
        # session and person with grants, the page of agents, their figures, the sidebar
        with django_assert_num_queries(4):
            page.get(LIST)
        for number in range(3):
            make(f"more-{number}")
        with django_assert_num_queries(4):
            page.get(LIST)

    def test_the_sidebar_costs_no_figures(
        self, page: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(3):
            page.get(LIST, headers={**HTMX, "hx-target": "side-agents"})

    def test_many_threads_are_an_estimate_and_say_so(
        self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "COUNT_TO", 2)
        with connection.cursor() as cursor:
            # forgets what an earlier analyze estimated, which no rollback takes back
            cursor.execute("truncate ag_agt_ada.memory_thread")
        for number in range(3):
            write_thread(ada, f"s-{number}")
        assert "over 2 threads" in text(page.get(LIST))
        with connection.cursor() as cursor:
            cursor.execute("analyze ag_agt_ada.memory_thread")
        assert "about 3 threads" in text(page.get(LIST))

    def test_a_schema_that_goes_meanwhile_costs_the_figures_not_the_page(self, ada: Agent) -> None:
        agents = listing.page(Agent.objects.all()).agents
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("drop schema ag_agt_ada cascade")
            assert listing.thread_counts(agents) == {}
            transaction.set_rollback(True)
