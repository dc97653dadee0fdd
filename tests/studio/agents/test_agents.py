"""Making, editing and removing an agent."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_tenants.utils import schema_context

from studio.agents import sidebar
from studio.models import Agent, AuditEvent, User
from tests.markup import Page
from tests.reading import form_with, html, text
from tests.studio.agents.agents import LIST, row_only
from tests.world import new_person, person, run, signed_in, sql, write_thread


def schema_exists(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select 1 from pg_namespace where nspname = %s", [name])
        return cursor.fetchone() is not None


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

    def test_what_was_written_just_before_is_counted(self, page: Client, ada: Agent) -> None:
        with schema_context(ada.schema_name):
            sql("insert into agno_sessions (session_id, session_type, created_at) values ('new', 'agent', 1)")
        page.post(self.NOW, {"confirm": "agt-ada"})
        event = AuditEvent.objects.get(action="agent.remove", agent_id="agt-ada")
        assert event.data["counts"]["threads"] == 1

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
