"""The list of agents, and making, editing and removing one."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django_tenants.utils import schema_context
from pytest_django import DjangoAssertNumQueries

from studio.agents import listing, provision, sidebar
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, MemorySettings, User
from tests.markup import Page
from tests.reading import form_with, html, links, text
from tests.world import HTMX, NOW, new_person, person, run, signed_in, write_thread

LIST = "/agents/"


def make(agent_id: str, name: str = "Clara's agent", **fields: Any) -> Agent:
    return provision.create_agent(Actor.system(), agent_id=agent_id, name=name, **fields)


def row_only(agent_id: str, name: str) -> Agent:
    """An agent whose schema is missing, as after a half restored backup."""
    agent = Agent.objects.create(id=agent_id, name=name, schema_name="ag_" + agent_id.replace("-", "_"))
    MemorySettings.objects.create(agent=agent)
    return agent


def schema_exists(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select 1 from pg_namespace where nspname = %s", [name])
        return cursor.fetchone() is not None


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

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_it_is_for_reading_only(self, page: Client, method: str) -> None:
        assert getattr(page, method)(LIST).status_code == 405

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
        # session, person and grants, the page of agents, their figures, the sidebar
        with django_assert_num_queries(5):
            page.get(LIST)
        for number in range(3):
            make(f"more-{number}")
        with django_assert_num_queries(5):
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
            assert listing.figures(agents) == {}
            transaction.set_rollback(True)


class TestMakingOne:
    URL = "/agents/new/"

    def test_it_makes_the_schema_and_audits(self, page: Client) -> None:
        answer = page.post(
            self.URL, {"name": "Clara", "agent_id": "clara", "framework": "agno", "status": "ACTIVE", "icon": "👩🏽‍🔬"}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/agents/clara/memory/")
        clara = Agent.objects.get(pk="clara")
        assert (clara.name, clara.icon, clara.memory.num_history_runs) == ("Clara", "👩🏽‍🔬", 10)
        assert schema_exists("ag_clara")
        event = AuditEvent.objects.get(action="agent.create", agent_id="clara")
        assert (event.actor_kind, event.actor) == ("person", "Admin")

    def test_it_makes_an_id_when_none_is_given(self, page: Client) -> None:
        answer = page.post(self.URL, {"name": "Dora", "framework": "langchain", "status": "ACTIVE"})
        assert answer.status_code == 303
        assert Agent.objects.get(name="Dora").pk.startswith("agt-")

    @pytest.mark.parametrize("agent_id", ["Clara", "-clara", "clara_", "c" * 59, "cla ra", "çlara", "a/b", "\x00", "٣"])
    def test_it_refuses_an_id_outside_the_rule_and_keeps_what_was_typed(self, page: Client, agent_id: str) -> None:
        answer = page.post(self.URL, {"name": "Clara", "agent_id": agent_id, "framework": "agno", "status": "ACTIVE"})
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in answer.content.decode()
        assert 'value="Clara"' in answer.content.decode()
        assert not Agent.objects.filter(name="Clara").exists()

    def test_it_refuses_an_id_whose_schema_is_taken(self, page: Client, ada: Agent) -> None:
        answer = page.post(self.URL, {"name": "Clara", "agent_id": "agt_ada", "framework": "agno", "status": "ACTIVE"})
        assert answer.status_code == 422
        assert "The id agt_ada is taken" in text(answer)

    def test_it_refuses_an_id_whose_schema_is_there_without_an_agent(self, page: Client) -> None:
        with connection.cursor() as cursor:
            cursor.execute("create schema ag_clara")
        form = {"name": "Clara", "agent_id": "clara", "framework": "agno", "status": "ACTIVE"}
        answer = page.post(self.URL, form)
        assert answer.status_code == 422
        assert "The id clara is taken" in text(answer)
        assert not Agent.objects.filter(pk="clara").exists()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "x" * 121),
            ("name", "\x00"),
            ("framework", "crewai"),
            ("status", "?"),
            ("icon", "ABC"),
        ],
    )
    def test_it_names_the_field_that_is_wrong(self, page: Client, field: str, value: str) -> None:
        good = {"name": "Clara", "agent_id": "clara", "framework": "agno", "status": "ACTIVE"}
        answer = page.post(self.URL, {**good, field: value})
        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == [field]
        assert f'id="id_{field}_error"' in answer.content.decode()

    @pytest.mark.parametrize("icon", ["", "🛟", "AB", "é", "👨‍👩‍👧‍👦", "🇮🇱", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "❤️"])
    def test_an_icon_is_any_emoji_or_two_letters(self, page: Client, icon: str) -> None:
        form = {"name": "Clara", "agent_id": "clara", "framework": "agno", "status": "ACTIVE", "icon": icon}
        assert page.post(self.URL, form).status_code == 303
        assert Agent.objects.get(pk="clara").icon == icon

    @pytest.mark.parametrize("role", ["viewer", "support", "operator", "privacy"])
    def test_it_is_refused_to_every_other_role(self, db: None, role: str) -> None:
        client = signed_in(person(role))
        assert client.get(self.URL).status_code == 403
        assert client.post(self.URL, {"name": "Clara"}).status_code == 403

    def test_it_is_refused_to_an_admin_of_one_agent(self, ada: Agent) -> None:
        guest = new_person("admin", ada)
        assert signed_in(guest).get(self.URL).status_code == 403

    def test_it_is_closed_to_strangers(self, db: None) -> None:
        assert Client().post(self.URL, {"name": "Clara"}).status_code == 302
        assert not Agent.objects.filter(name="Clara").exists()

    def test_it_needs_the_forms_token(self, admin: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin)
        assert client.post(self.URL, {"name": "Clara"}).status_code == 403


class TestEditingOne:
    URL = "/agents/agt-ada/edit/"

    def test_the_form_holds_what_is_saved(self, page: Client, ada: Agent) -> None:
        form = form_with(page.get(self.URL), "framework")
        assert form.fields["name"] == ["Ada's agent"]
        assert form.fields["model_name"] == ["gpt-4o-mini"]

    def test_it_saves_and_audits_what_changed(self, page: Client, ada: Agent) -> None:
        answer = page.post(
            self.URL,
            {"name": "Ada II", "icon": "🅰️", "framework": "agno", "model_name": "gpt-4o-mini", "status": "ACTIVE"},
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/agents/agt-ada/memory/")
        assert Agent.objects.get(pk="agt-ada").name == "Ada II"
        event = AuditEvent.objects.get(action="agent.edit")
        assert event.data == {"changes": {"name": ["Ada's agent", "Ada II"]}}

    def test_it_writes_nothing_when_nothing_changed(self, page: Client, ada: Agent) -> None:
        page.post(
            self.URL,
            {"name": "Ada's agent", "icon": "🅰️", "framework": "agno", "model_name": "gpt-4o-mini", "status": "ACTIVE"},
        )
        assert not AuditEvent.objects.filter(action="agent.edit").exists()

    def test_it_cannot_change_the_id(self, page: Client, ada: Agent) -> None:
        page.post(self.URL, {"name": "Ada", "agent_id": "x", "id": "x", "framework": "agno", "status": "ACTIVE"})
        assert Agent.objects.filter(pk="agt-ada").exists()
        assert not Agent.objects.filter(pk="x").exists()

    def test_it_is_for_admins_of_that_agent(self, ada: Agent, bruno: Agent) -> None:
        guest = new_person("admin", ada)
        client = signed_in(guest)
        assert client.get(self.URL).status_code == 200
        assert client.get("/agents/agt-bruno/edit/").status_code == 404
        assert signed_in(person("operator")).get(self.URL).status_code == 403

    def test_an_unknown_agent_is_not_found(self, page: Client) -> None:
        assert page.get("/agents/agt-nobody/edit/").status_code == 404


class TestRemovingOne:
    URL = "/agents/agt-ada/remove/"
    NOW = URL + "now/"

    def test_it_shows_what_will_be_lost(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s-1", [run("r-1"), run("r-2")], user_id="alice")
        write_thread(ada, "s-2", [run("r-3")], user_id="bob", layout="table")
        assert "Threads 2 Runs 3 Messages 6 Users in them 2" in text(page.get(self.URL))

    def test_opening_it_removes_nothing(self, page: Client, ada: Agent) -> None:
        assert page.get(self.URL).status_code == 200
        assert page.get(self.NOW).status_code == 405
        assert page.post(self.URL, {"confirm": "agt-ada"}).status_code == 405
        assert schema_exists("ag_agt_ada")

    def test_its_form_leads_there_without_scripts(self, page: Client, ada: Agent) -> None:
        assert "confirm" in Page(html(page.get(self.URL))).form(self.NOW).fields

    def test_the_typed_id_removes_the_schema_and_keeps_the_audit(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s-1", [run("r-1")])
        answer = page.post(self.NOW, {"confirm": "agt-ada"})
        assert (answer.status_code, answer.headers["location"]) == (303, LIST)
        assert not schema_exists("ag_agt_ada")
        assert not Agent.objects.filter(pk="agt-ada").exists()
        event = AuditEvent.objects.get(action="agent.remove", agent_id="agt-ada")
        assert event.data["counts"] == {"threads": 1, "runs": 1, "messages": 2, "users": 1}
        assert "Removed Ada's agent (agt-ada)" in text(page.get(LIST))
        assert page.get(self.URL).status_code == 404

    @pytest.mark.parametrize("typed", ["", "ada", "AGT-ADA", "agt-bruno", "\x00"])
    def test_anything_else_removes_nothing_and_says_so(self, page: Client, ada: Agent, typed: str) -> None:
        answer = page.post(self.NOW, {"confirm": typed})
        assert answer.status_code == 422
        assert "Nothing was removed." in text(answer)
        assert schema_exists("ag_agt_ada")

    def test_it_removes_an_agent_without_its_schema(self, page: Client) -> None:
        row_only("agt-lost", "Lost agent")
        assert "schema is missing" in text(page.get("/agents/agt-lost/remove/"))
        assert page.post("/agents/agt-lost/remove/now/", {"confirm": "agt-lost"}).status_code == 303

    def test_it_leaves_the_other_agent_alone(self, page: Client, ada: Agent, bruno: Agent) -> None:
        write_thread(bruno, "s-1")
        page.post(self.NOW, {"confirm": "agt-ada"})
        with schema_context(bruno.schema_name), connection.cursor() as cursor:
            cursor.execute("select count(*) from agno_sessions")
            assert cursor.fetchone() == (1,)

    @pytest.mark.parametrize("role", ["viewer", "support", "operator", "privacy"])
    def test_it_is_refused_to_every_other_role(self, ada: Agent, role: str) -> None:
        client = signed_in(person(role))
        assert client.get(self.URL).status_code == 403
        assert client.post(self.NOW, {"confirm": "agt-ada"}).status_code == 403
        assert schema_exists("ag_agt_ada")

    def test_an_agent_that_may_not_be_seen_is_not_found(self, ada: Agent) -> None:
        stranger = signed_in(User.objects.create_user("guest@example.com"))
        assert stranger.post(self.NOW, {"confirm": "agt-ada"}).status_code == 404


def test_the_short_address_leads_to_the_memory_tab(page: Client, ada: Agent) -> None:
    assert page.get("/agents/agt-ada/").headers["location"] == reverse("memory", args=["agt-ada"])


def test_the_sidebar_keeps_the_agent_of_the_page(page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidebar, "SIDEBAR", 1)
    row_only("agt-aa", "Aa")
    shown = page.get("/agents/agt-ada/edit/").content.decode()
    side = shown[shown.index('id="side-agents"') : shown.index("</nav>", shown.index('id="side-agents"'))]
    assert 'aria-current="true"' in side
    assert "Ada" in side
    assert "Bruno" not in side
