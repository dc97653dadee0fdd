"""The studio's own client, each call with and without await, against a running studio."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from studio.client import Agent, Agents, AgnoSettings, StudioError, http
from tests.server import StudioServer

NOW = int(time.time())
ODD = ["order 7/2", "~b3", "a\nb", "نص", "<b>'\"", "../..", "x" * 3000]
SEED = """
from tests.world import run, write_thread
from studio.models import Agent
agent = Agent.objects.get(pk="agt-client")
for number in range(45):
    write_thread(agent, f"many-{{number:02}}", [run(f"m-{{number}}")], user_id="many", at={now} - number)
runs = [run(f"l-{{number:02}}", f"q{{number}}", f"a{{number}}", at={now} + number) for number in range(50)]
write_thread(agent, "long", runs, user_id="long", at={now}, summary={{"summary": "In short"}})
huge = [{{"role": "user", "content": "word " * 20_000}}] * 30
inside = run("m-1", "asked inside", "said inside", agent_name="Looker")
write_thread(agent, "left-out", [run("big", messages=huge), run("team", step_executor_runs=[inside])], user_id="huge")
write_thread(agent, "shared", [run("s-1"), run("s-2", user_id="guest")], user_id="owner")
for number, session_id in enumerate({odd!r}):
    write_thread(agent, session_id, [run(f"o-{{number}}")], user_id="odd")
"""


@dataclass
class Twin:
    """Calls either of the twins: `call(agent, "get_session", "id")` is `aget_session` when asynchronous."""

    asynchronous: bool

    def __call__(self, what: Any, name: str, *arguments: Any, **named: Any) -> Any:
        if not self.asynchronous:
            return getattr(what, name)(*arguments, **named)
        # each in a loop of its own, as in a program that runs them one after the other
        return asyncio.run(getattr(what, f"a{name}")(*arguments, **named))


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


@pytest.fixture(scope="module")
def key_of(studio_server: StudioServer) -> Callable[..., str]:
    def make(*scopes: str, agent: str = "") -> str:
        named = [argument for scope in scopes for argument in ("--scope", scope)] + (
            ["--agent", agent] if agent else []
        )
        return studio_server.manage("api_key", "create", "--name", "client", *named).splitlines()[-1]

    return make


@pytest.fixture(scope="module")
def agents(studio_server: StudioServer, key_of: Callable[..., str]) -> Agents:
    studio_server.create_agent("agt-client", name="Client", model_name="gpt-5")
    studio_server.create_agent("agt-client-chain", framework="langchain")
    studio_server.manage("shell", "--no-imports", "--command", SEED.format(now=NOW, odd=ODD))
    return Agents(f"{studio_server.url}/api", key_of("admin"))


@pytest.fixture(scope="module")
def agent(agents: Agents) -> Agent:
    return agents.get("agt-client")


@pytest.fixture
def storage_off(agents: Agents, agent: Agent) -> Any:
    """The agent as loaded while its storage was off."""
    patch(agents, session_storage=False)
    yield agents.get("agt-client")
    patch(agents, session_storage=True)


def patch(agents: Agents, **values: Any) -> int:
    """Change the settings as another program would, and return their version."""
    studio = agents._studio
    answer = httpx.patch(f"{studio._base}/agents/agt-client/memory", json=values, **studio._options)
    assert answer.status_code == 200
    return int(answer.json()["version"])


class TestAgents:
    def test_they_are_listed(self, call: Twin, agents: Agents) -> None:
        listed = {item.id: item for item in call(agents, "list")}
        assert (listed["agt-client"].name, listed["agt-client-chain"].framework) == ("Client", "langchain")

    def test_one_is_loaded_with_its_settings(self, call: Twin, agents: Agents) -> None:
        agent = call(agents, "get", agent_id="agt-client")
        assert (agent.id, agent.name, agent.model_name, agent.framework) == ("agt-client", "Client", "gpt-5", "agno")
        assert agent.agno_settings == AgnoSettings(True, agent.agno_settings.num_history_runs, 0, False)

    def test_what_was_saved_a_second_ago_is_loaded(self, call: Twin, agents: Agents) -> None:
        version = patch(agents, num_history_runs=3)
        assert call(agents, "get", "agt-client").agno_settings.num_history_runs == 3
        patch(agents, num_history_runs=10)
        then = call(agents, "get", "agt-client", version=version)
        assert (then.version, then.agno_settings.num_history_runs) == (version, 3)
        assert call(agents, "get", "agt-client").agno_settings.num_history_runs == 10

    def test_an_unknown_one_raises(self, call: Twin, agents: Agents) -> None:
        for agent_id in ("agt-nobody", "../health", "a b", "list?"):
            with pytest.raises(StudioError) as caught:
                call(agents, "get", agent_id)
            assert caught.value.status_code == 404
            assert "nothing at this address" in caught.value.description

    @pytest.mark.usefixtures("agents")
    def test_a_key_that_is_refused_raises(self, call: Twin, studio_server: StudioServer, key_of: Any) -> None:
        address = f"{studio_server.url}/api"
        with pytest.raises(StudioError, match="401: Send a valid API key"):
            call(Agents(address, "ams_wrong"), "list")
        with pytest.raises(StudioError, match="403: This takes a key with the scope agents:read"):
            call(Agents(address, key_of("connect")), "list")
        with pytest.raises(StudioError, match="404"):
            call(Agents(address, key_of("admin", agent="agt-client")), "get", "agt-client-chain")


class TestSessions:
    def test_all_of_a_users_are_there(self, call: Twin, agent: Agent) -> None:
        sessions = call(agent, "get_user_sessions", user_id="many")
        assert [session.session_id for session in sessions] == [f"many-{number:02}" for number in range(45)]
        assert {len(session.messages) for session in sessions} == {2}

    def test_a_long_one_has_all_its_runs_in_order(self, call: Twin, agent: Agent) -> None:
        (listed,), read = call(agent, "get_user_sessions", "long"), call(agent, "get_session", session_id="long")
        assert listed == read
        assert [run["run_id"] for run in read.runs] == [f"l-{number:02}" for number in range(50)]
        assert [message["content"] for message in read.messages][:4] == ["q0", "a0", "q1", "a1"]
        assert (read.user_id, read.created_at, read.summary) == ("long", NOW, "In short")

    def test_what_is_left_out_is_said_and_what_runs_inside_said_is_there(self, call: Twin, agent: Agent) -> None:
        note, *messages = call(agent, "get_session", "left-out").messages
        assert (note["role"], note["run_id"]) == ("note", "big")
        assert "too large to be given here" in note["content"]
        assert ("Looker", "said inside") in [(one["agent"], one["content"]) for one in messages]

    def test_shared_ones_are_told_apart_by_their_owner(self, call: Twin, agent: Agent) -> None:
        (session,) = call(agent, "get_user_sessions", "guest")
        assert (session.session_id, session.user_id) == ("shared", "owner")
        assert call(agent, "get_user_sessions", "guest", part="joined") == [session]
        assert call(agent, "get_user_sessions", "guest", part="owned") == []
        assert call(agent, "get_user_sessions", "owner", part="owned") == [session]
        assert call(agent, "get_user_sessions", "owner", part="joined") == []

    def test_threads_that_the_list_may_lack_are_counted(
        self, call: Twin, studio_server: StudioServer, agent: Agent
    ) -> None:
        assert call(agent, "get_user_sessions", "many").not_indexed == 0
        studio_server.sql(
            "insert into memory_backlog (session_id, error) values ('many-00', 'broken')", schema="ag_agt_client"
        )
        try:
            assert call(agent, "get_user_sessions", "many").not_indexed == 1
        finally:
            studio_server.sql("delete from memory_backlog", schema="ag_agt_client")

    def test_ids_of_any_length_are_read_whole(self, call: Twin, studio_server: StudioServer, agent: Agent) -> None:
        session_id, user_id = "s" * 50_000, "u" * 50_000
        studio_server.sql(
            "insert into agno_sessions (session_id, session_type, user_id, created_at) values (%s, 'agent', %s, 1)"
            " on conflict do nothing",
            session_id,
            user_id,
            schema="ag_agt_client",
        )
        (session,) = call(agent, "get_user_sessions", user_id, part="owned")
        assert (session.session_id, session.user_id) == (session_id, user_id)
        assert call(agent, "get_session", session_id) == session

    def test_a_user_without_any_has_none(self, call: Twin, agent: Agent) -> None:
        assert call(agent, "get_user_sessions", "nobody\n/?#%") == []

    def test_an_unknown_one_is_none(self, call: Twin, agent: Agent) -> None:
        assert call(agent, "get_session", "never") is None
        assert call(agent, "delete_session", "never") is False

    @pytest.mark.parametrize("session_id", ODD)
    def test_any_id_is_read(self, call: Twin, agent: Agent, session_id: str) -> None:
        assert call(agent, "get_session", session_id).session_id == session_id

    def test_any_id_is_deleted_once(self, call: Twin, studio_server: StudioServer, agent: Agent) -> None:
        session_id = f"gone / {call.asynchronous}"
        studio_server.sql(
            "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', 1)",
            session_id,
            schema="ag_agt_client",
        )
        assert call(agent, "delete_session", session_id=session_id) is True
        assert call(agent, "delete_session", session_id=session_id) is False
        assert call(agent, "get_session", session_id) is None


CALLS = [
    ("get_user_sessions", "x"),
    ("get_session", "x"),
    ("get_db",),
]


@pytest.mark.parametrize("arguments", CALLS, ids=lambda arguments: arguments[0])
class TestWithoutStorage:
    def test_another_framework_is_not_supported(self, call: Twin, agents: Agents, arguments: tuple[str, ...]) -> None:
        with pytest.raises(NotImplementedError, match=r"Storage for framework 'langchain' is not supported\."):
            call(agents.get("agt-client-chain"), *arguments)

    def test_storage_that_is_off_is_looked_for_in_vain(
        self, call: Twin, storage_off: Agent, arguments: tuple[str, ...]
    ) -> None:
        with pytest.raises(LookupError, match=r"Session storage is not enabled for this agent\."):
            call(storage_off, *arguments)


def test_a_session_is_deleted_though_none_are_stored(
    call: Twin, studio_server: StudioServer, agents: Agents, storage_off: Agent
) -> None:
    other = f"gone {call.asynchronous}"
    for agent in (storage_off, agents.get("agt-client-chain")):
        schema = "ag_" + agent.id.replace("-", "_")
        statement = "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', 1)"
        studio_server.sql(statement, other, schema=schema)
        assert call(agent, "delete_session", other) is True
        assert call(agent, "delete_session", other) is False


class TestDatabase:
    def test_the_connection_string_is_the_agents_own(self, call: Twin, agent: Agent) -> None:
        connection = call(agent, "get_connection_string")
        assert connection.id == "agt-client"
        assert connection.connection_uri.uri.startswith("postgresql://ag_agt_client:")

    def test_it_is_not_in_what_is_printed(self, call: Twin, agent: Agent) -> None:
        connection = call(agent, "get_connection_string")
        assert connection.connection_uri.uri not in repr([connection, agent])

    def test_without_agno_it_says_what_to_install(self, call: Twin, agent: Agent) -> None:
        with pytest.raises(ImportError, match="pip install agno"):
            call(agent, "get_db")


class TestAddress:
    def test_the_studios_variables_go_before_the_sdks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XPANDER_BASE_URL", "http://sdk/api")
        monkeypatch.setenv("XPANDER_API_KEY", "ams_sdk")
        assert told(Agents()) == ("http://sdk/api", "ams_sdk")
        monkeypatch.setenv("STUDIO_BASE_URL", "http://studio/api/")
        monkeypatch.setenv("STUDIO_API_KEY", "ams_studio")
        assert told(Agents()) == ("http://studio/api", "ams_studio")
        assert told(Agents("http://given/api", "ams_given")) == ("http://given/api", "ams_given")

    def test_without_any_it_says_what_to_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("STUDIO_BASE_URL", "STUDIO_API_KEY", "XPANDER_BASE_URL", "XPANDER_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(ValueError, match="Set STUDIO_BASE_URL and STUDIO_API_KEY"):
            Agents()


def told(agents: Agents) -> tuple[str, str]:
    return agents._studio._base, agents._studio._options["headers"]["x-api-key"]


class TestRefusals:
    """Answers that a studio gives rarely, from one that is made up."""

    def answered_by(self, *answers: httpx.Response) -> Agents:
        left = list(answers)
        agents = Agents("http://studio/api", "ams_x")
        agents._studio._options["transport"] = httpx.MockTransport(lambda _: left.pop(0))
        return agents

    def test_the_rate_limit_is_waited_for(self, call: Twin) -> None:
        wait = httpx.Response(429, headers={"Retry-After": "0"}, json={"error": "", "detail": ""})
        assert call(self.answered_by(wait, wait, httpx.Response(200, json=[])), "list") == []

    def test_but_not_for_ever(self, call: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "PATIENCE", 2)
        wait = httpx.Response(429, headers={"Retry-After": "0"}, json={"error": "", "detail": "Slowly."})
        with pytest.raises(StudioError, match=r"429: Slowly\."):
            call(self.answered_by(wait, wait, wait), "list")

    @pytest.mark.parametrize("body", [b"<html>", b"", b'"text"', b"{}"])
    def test_an_answer_that_is_no_problem_of_the_studios_is_named_by_its_status(self, call: Twin, body: bytes) -> None:
        with pytest.raises(StudioError, match="502: Bad Gateway"):
            call(self.answered_by(httpx.Response(502, content=body)), "list")

    def test_what_a_newer_studio_sends_beside_is_left_out(self, call: Twin) -> None:
        item = dict.fromkeys(
            ("id", "name", "icon", "description", "framework", "status", "organization_id", "created_at", "news"), "x"
        )
        (listed,) = call(self.answered_by(httpx.Response(200, json=[{**item, "instructions": {}}])), "list")
        assert listed.name == "x"
