"""The calls that xpander-sdk makes, and making and removing agents."""

import re
from unittest import mock

import pytest

from studio.agents import database_role, memory_settings, provision
from studio.audit.record import Actor
from studio.ids import is_agent_id
from studio.models import Agent, AuditEvent
from tests.calls import Api


def chain() -> Agent:
    return provision.create_agent(Actor.system(), agent_id="agt-chain", name="Chain", framework="langchain")


def save(agent: Agent, **values: object) -> None:
    memory_settings.save(Actor.system(), agent, values, agent.memory.version)
    agent.refresh_from_db()


class TestList:
    def test_it_has_what_the_sdk_reads(self, api: Api, ada: Agent) -> None:
        listed = {agent["id"]: agent for agent in api.get("agents/list")}
        assert set(listed) == {"agt-ada", "agt-bruno"}
        one = listed["agt-ada"]
        assert one | {"created_at": ""} == {
            "id": "agt-ada",
            "name": "Ada's agent",
            "icon": "🅰️",
            "description": "",
            "framework": "agno",
            "instructions": {"role": [], "goal": [], "general": ""},
            "status": "ACTIVE",
            "organization_id": "agent-studio",
            "created_at": "",
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["created_at"])

    def test_it_is_sorted_by_name(self, api: Api) -> None:
        api("POST", "agents", {"name": "Aardvark"})
        assert next(agent["name"] for agent in api.get("agents/list")) == "Aardvark"

    @pytest.mark.parametrize("word", ["list", "new"])
    def test_no_agent_is_called_like_an_address_of_the_studio(self, api: Api, word: str) -> None:
        answer = api("POST", "agents", {"name": "Word", "id": word})
        assert answer.said == (409, f"The id {word} is a word in the studio's own addresses. Choose another.")


def test_the_sdk_is_told_of_no_extra_headers(api: Api) -> None:
    assert api.get("metadata/default_llm_extra_headers") == {}


class TestAgent:
    def test_it_has_what_the_sdk_reads(self, api: Api, ada: Agent) -> None:
        agent = api.get("agents/agt-ada")
        wanted = {
            "unique_name": "agt-ada",
            "environment_id": "agent-studio",
            "framework": "agno",
            "model_provider": "",
            "model_name": "gpt-4o-mini",
            "version": 1,
            "graph": [],
            "tools": [],
        }
        assert {name: agent[name] for name in wanted} == wanted

    def test_its_settings_are_always_complete(self, api: Api, ada: Agent) -> None:
        assert api.get("agents/agt-ada")["agno_settings"] == {
            "session_storage": True,
            "num_history_runs": 10,
            "max_tool_calls_from_history": 0,
            "session_summaries": False,
            "user_memories": False,
            "agentic_memory": False,
            "agent_memories": False,
            "agentic_culture": False,
            "tool_call_limit": None,
        }

    def test_a_saved_setting_is_there_at_once(self, api: Api, ada: Agent) -> None:
        save(ada, num_history_runs=3, session_storage=False)
        agent = api.get("agents/agt-ada")
        assert (agent["version"], agent["agno_settings"]["num_history_runs"]) == (2, 3)
        assert agent["agno_settings"]["session_storage"] is False

    def test_a_version_is_what_it_was(self, api: Api, ada: Agent) -> None:
        save(ada, num_history_runs=3)
        save(ada, num_history_runs=7)
        found = [api.get("agents/agt-ada", x_agent_version=str(version)) for version in (1, 2, 3)]
        assert [one["agno_settings"]["num_history_runs"] for one in found] == [10, 3, 7]
        assert [one["version"] for one in found] == [1, 2, 3]

    @pytest.mark.parametrize("version", ["2", "0", "-1", "999999999", "9" * 30, "1.0", "latest", "", "١"])
    def test_an_unknown_version_is_not_found(self, api: Api, ada: Agent, version: str) -> None:
        answer = api("GET", "agents/agt-ada", x_agent_version=version.encode().decode("latin-1"))
        assert answer.said[0] == 404

    def test_another_framework_is_named(self, api: Api) -> None:
        chain()
        assert api.get("agents/agt-chain")["framework"] == "langchain"


class TestConnection:
    def test_it_has_what_the_sdk_reads(self, api: Api, ada: Agent) -> None:
        connection = api.get("agents/agt-ada/db")
        assert connection.pop("connection_uri")["uri"].startswith(f"postgresql://{ada.database_role.name}:")
        assert connection == {"id": "agt-ada", "name": "Ada's agent", "organization_id": "agent-studio"}

    def test_it_is_an_event_in_the_log_without_the_password(self, api: Api, ada: Agent) -> None:
        uri = api.get("agents/agt-ada/db")["connection_uri"]["uri"]
        event = AuditEvent.objects.get(action="database.reveal")
        assert (event.actor_kind, event.actor, event.agent_id) == ("key", "key “tests”", "agt-ada")
        assert uri.split(":")[2].split("@")[0] not in str(vars(event))

    def test_it_works_while_storage_is_off(self, api: Api, ada: Agent) -> None:
        save(ada, session_storage=False)
        assert api("GET", "agents/agt-ada/db").status == 200

    def test_other_frameworks_have_none(self, api: Api) -> None:
        chain()
        assert api("GET", "agents/agt-chain/db").said == (
            501,
            "Storage for framework 'langchain' is not supported.",
        )

    def test_it_says_what_to_grant_where_the_studio_may_not_make_roles(self, api: Api) -> None:
        with mock.patch.object(database_role, "may_create_roles", return_value=False):
            assert api("POST", "agents", {"name": "Poor", "id": "agt-poor"}).status == 201
            answer = api("GET", "agents/agt-poor/db")
        assert answer.said == (
            503,
            "The studio's database user may not make roles. As a superuser run: "
            'ALTER ROLE "studio" CREATEROLE; and then: .venv/bin/python manage.py grant_agents',
        )
        assert not AuditEvent.objects.filter(action="database.reveal").exists()


class TestCreate:
    def test_it_answers_with_the_agent(self, api: Api) -> None:
        answer = api("POST", "agents", {"name": "New", "model_name": "gpt-5", "instructions": "Be kind."})
        assert answer.status == 201
        assert is_agent_id(answer.body["id"])
        assert answer.headers["location"] == f"/api/agents/{answer.body['id']}"
        assert answer.body == api.get(f"agents/{answer.body['id']}")
        assert answer.body["instructions"]["general"] == "Be kind."

    def test_it_has_its_tables_and_is_in_the_log_with_the_keys_name(self, api: Api) -> None:
        api("POST", "agents", {"name": "New", "id": "agt-new"})
        assert api.get("agents/agt-new/threads")["items"] == []
        event = AuditEvent.objects.get(action="agent.create", agent_id="agt-new")
        assert (event.actor_kind, event.actor) == ("key", "key “tests”")

    @pytest.mark.parametrize("taken", ["agt-ada", "agt_ada"])
    def test_an_id_is_taken_only_once(self, api: Api, ada: Agent, taken: str) -> None:
        status, detail = api("POST", "agents", {"name": "Again", "id": taken}).said
        assert status == 409
        assert taken in detail

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("id", "Upper"),
            ("id", "-x"),
            ("id", "x" * 59),
            ("id", "a\n"),
            ("name", ""),
            ("name", "   "),
            ("name", "x" * 121),
            ("name", None),
            ("name", 7),
            ("framework", "cobol"),
            ("status", "DRAFT"),
            ("icon", "x" * 17),
            ("icon", "abc"),
            ("instructions", "x" * 20_001),
            ("colour", "red"),
        ],
    )
    def test_a_wrong_field_is_named(self, api: Api, field: str, value: object) -> None:
        status, detail = api("POST", "agents", {"name": "New", field: value}).said
        assert status == 422
        assert detail.startswith(f"{field}: ")
        assert not Agent.objects.filter(name="New").exists()


class TestRemove:
    def test_it_goes_with_its_schema_and_is_in_the_log(self, api: Api) -> None:
        api("POST", "agents", {"name": "New", "id": "agt-new"})
        assert api("DELETE", "agents/agt-new").status == 204
        assert api("GET", "agents/agt-new").status == 404
        assert api("DELETE", "agents/agt-new").status == 404
        event = AuditEvent.objects.get(action="agent.remove", agent_id="agt-new")
        assert (event.actor, event.data["counts"]["threads"]) == ("key “tests”", 0)
