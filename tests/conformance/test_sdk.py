"""The unmodified xpander-sdk, a current one and an earlier one, against a running studio."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from studio.ids import schema_name
from tests.conformance import environments
from tests.conformance.library import ANSWER_SECONDS, Library, Step, read, talk
from tests.conformance.reports import counted, indexed
from tests.conformance.test_history import RUNS, outline, predicted
from tests.markup import Page
from tests.server import ServedAgent, StudioServer

SCRIPT = Path(__file__).parent / "agents" / "sdk_agent.py"

TOOL = '/look_up {"number": "1"}'
TURNS = ["Hello", f"First {TOOL}", f"Second {TOOL} and {TOOL}", "Third", f"Fourth {TOOL}", "Bye"]
USER = "ann@example.com"

# What it warns of and goes on: events and files that the studio does not take, and a model without a name.
TOLERATED = ("404 Not Found", "unknown model.id='echo-1'")


@dataclass(frozen=True)
class Sdk:
    """A developer's machine: the SDK's three variables and nothing else of the studio."""

    version: str
    studio: StudioServer
    key: str

    def __call__(self, *steps: Step) -> list[Any]:
        """Take steps in a fresh process and return their answers; fail on any warning of Agno's or the SDK's."""
        environment = {
            "XPANDER_BASE_URL": f"{self.studio.url}/api",
            "XPANDER_API_KEY": self.key,
            "XPANDER_ORGANIZATION_ID": "any",
            "PATH": "/usr/bin:/bin",
        }
        done = subprocess.run(
            [environments.python(self.version), SCRIPT, json.dumps(steps)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert not told["worries"], told["worries"]
        warned = [line for line in done.stderr.splitlines() if "WARNING" in line or "ERROR" in line]
        assert not [line for line in warned if not any(known in line for known in TOLERATED)], done.stderr
        answers: list[Any] = told["answers"]
        return answers


def new_key(server: StudioServer, *scopes: str, agent: str = "") -> str:
    arguments = [argument for scope in scopes for argument in ("--scope", scope)]
    arguments += ["--agent", agent] if agent else []
    return server.manage("api_key", "create", "--name", "developer", *arguments).splitlines()[-1]


def save_settings(admin: httpx.Client, agent_id: str, **values: str) -> None:
    """Save an agent's Memory form as a person does."""
    page = admin.get(f"/agents/{agent_id}/memory/")
    answer = Page(page.text).form("/memory/").send(admin, page, **values)
    assert answer.status_code == 200


@pytest.fixture(scope="module")
def admin(studio_server: StudioServer) -> httpx.Client:
    return studio_server.client()


@pytest.fixture(scope="module", params=[environments.SDK, environments.SDK_BEFORE])
def sdk(studio_server: StudioServer, request: pytest.FixtureRequest) -> Sdk:
    return Sdk(request.param, studio_server, new_key(studio_server, "agents:read", "connect"))


@pytest.fixture(scope="module")
def agent(studio_server: StudioServer, sdk: Sdk) -> ServedAgent:
    """An agent of its own for each version."""
    return studio_server.create_agent(f"real-{sdk.version.replace('.', '-')}", name="Real sdk")


@pytest.fixture(scope="module")
def others(studio_server: StudioServer, admin: httpx.Client) -> list[str]:
    """An agent of another framework and one whose session storage is off, whatever else it has saved."""
    studio_server.create_agent("sdk-chain", framework="langchain", model_provider="openai", model_name="gpt-5")
    studio_server.create_agent("sdk-off")
    save_settings(admin, "sdk-off", max_tool_calls_from_history="2", session_summaries="on")
    save_settings(admin, "sdk-off", session_storage="off")
    return ["sdk-chain", "sdk-off"]


@pytest.fixture(scope="module")
def talked(admin: httpx.Client, agent: ServedAgent, sdk: Sdk) -> dict[str, Any]:
    """Save settings in the form, then let a fresh process load the agent and talk six turns twice."""
    save_settings(admin, agent.id, num_history_runs="3", max_tool_calls_from_history="2")
    mine = {"agent_id": agent.id}
    steps = {
        "agents": {"do": "agents"},
        "load": {"do": "load", **mine},
        "address": {"do": "address", **mine},
        "databases": {"do": "databases", **mine},
        "arguments": {"do": "arguments", **mine, "session_id": "first/1", "user_id": USER},
        "sync": {"do": "arguments", **mine, "session_id": "first/1", "user_id": USER, "is_async": False},
        "first": {"do": "talk", **mine, "texts": TURNS, "session_id": "first/1", "user_id": USER},
        "second": {"do": "talk", **mine, "texts": TURNS[:2], "session_id": "second", "user_id": USER},
        "sessions": {"do": "sessions", **mine, "user_id": USER},
        "session": {"do": "session", **mine, "session_id": "first/1"},
        "none": {"do": "session", **mine, "session_id": "never"},
        "gone": {"do": "talk", **mine, "texts": TURNS[:1], "session_id": "gone/1", "user_id": USER},
    }
    return dict(zip(steps, sdk(*steps.values()), strict=True))


def test_it_lists_the_agents(talked: dict[str, Any], agent: ServedAgent) -> None:
    listed = {item["id"]: item for item in talked["agents"]}
    assert listed[agent.id]["name"] == "Real sdk"
    assert listed[agent.id]["status"] == "ACTIVE"


def test_it_loads_the_settings_that_the_form_saved(talked: dict[str, Any], agent: ServedAgent) -> None:
    loaded = talked["load"]
    assert (loaded["id"], loaded["framework"], loaded["version"]) == (agent.id, "agno", 2)
    wanted = {
        "session_storage": True,
        "num_history_runs": 3,
        "max_tool_calls_from_history": 2,
        "session_summaries": False,
    }
    assert {name: loaded["settings"][name] for name in wanted} == wanted


def test_it_is_handed_the_agents_own_database(talked: dict[str, Any], agent: ServedAgent) -> None:
    assert talked["address"] == agent.dsn
    assert talked["databases"] == [["AsyncPostgresDb", agent.schema], ["PostgresDb", agent.schema]]


def test_its_adapter_hands_on_what_the_form_saved(talked: dict[str, Any], agent: ServedAgent) -> None:
    wanted = {
        "session_id": "first/1",
        "user_id": USER,
        "add_history_to_context": True,
        "num_history_runs": 3,
        "max_tool_calls_from_history": 2,
    }
    assert talked["arguments"] == {**wanted, "db": ["AsyncPostgresDb", agent.schema]}
    assert talked["sync"] == {**wanted, "db": ["PostgresDb", agent.schema]}


def stored_runs(server: StudioServer, agent: ServedAgent, session_id: str) -> list[Any]:
    return [run for (run,) in server.sql(RUNS[environments.AGNO_2], session_id, schema=agent.schema)]


def assert_history(heard: list[Any], runs: list[Any], texts: list[str], depth: int, cap: int = 0) -> None:
    """Compare what each turn sent with the history that the studio says is sent; `runs` are those of the thread."""
    before = len(runs) - len(texts)
    for turn, (text, sent) in enumerate(zip(texts, heard, strict=True)):
        history = [outline(message) for message in predicted(environments.AGNO_2, runs[: before + turn], depth, cap)]
        assert (turn, sent[:-1]) == (turn, history)
        assert sent[-1]["content"] == text


def test_the_model_is_sent_exactly_the_history_of_the_settings(
    studio_server: StudioServer, talked: dict[str, Any], agent: ServedAgent
) -> None:
    runs = stored_runs(studio_server, agent, "first/1")
    assert len(runs) == len(TURNS)
    assert_history(talked["first"], runs, TURNS, depth=3, cap=2)
    assert [message["content"] for message in talked["first"][5][:-1] if message["role"] == "user"] == TURNS[2:5]
    assert [message["role"] for message in talked["first"][5]].count("tool") == 2


def test_it_reads_its_users_sessions(talked: dict[str, Any]) -> None:
    """Their messages are the system's, and those of each turn."""
    assert talked["sessions"] == [["first/1", len(talked["session"])], ["second", 1 + 2 + 4]]
    assert [message["content"] for message in talked["session"] if message["role"] == "user"] == TURNS
    assert talked["none"] is None


@pytest.fixture(scope="module")
def later(
    studio_server: StudioServer,
    admin: httpx.Client,
    agent: ServedAgent,
    sdk: Sdk,
    others: list[str],
    talked: dict[str, Any],
) -> dict[str, Any]:
    """Save other settings in the form, and let the next fresh process load the agent and reach for more."""
    save_settings(admin, agent.id, num_history_runs="1", max_tool_calls_from_history="0", session_summaries="on")
    chain, off = others
    weak = new_key(studio_server, "agents:read")
    elsewhere = new_key(studio_server, "agents:read", "connect", agent=off)
    mine = {"agent_id": agent.id}
    steps = {
        "new": {"do": "load", **mine},
        "old": {"do": "load", **mine, "version": 2},
        "no version": {"do": "load", **mine, "version": 99},
        "no agent": {"do": "load", "agent_id": "agt-nobody"},
        "other framework": {"do": "sessions", "agent_id": chain, "user_id": USER},
        "storage off": {"do": "sessions", "agent_id": off, "user_id": USER},
        "off": {"do": "arguments", "agent_id": off, "session_id": "off/1", "user_id": USER},
        "off talk": {"do": "talk", "agent_id": off, "texts": TURNS[:2], "session_id": "off/1", "user_id": USER},
        "arguments": {"do": "arguments", **mine, "session_id": "third", "user_id": USER},
        "talk": {"do": "talk", **mine, "texts": TURNS[:4], "session_id": "third", "user_id": USER},
        "no key": {"do": "as_another", "key": "ams_no_key", **mine},
        "weak key": {"do": "as_another", "key": weak, **mine},
        "key for elsewhere": {"do": "as_another", "key": elsewhere, **mine},
        "delete": {"do": "delete", **mine, "session_id": "gone/1"},
        "deleted": {"do": "session", **mine, "session_id": "gone/1"},
        "delete again": {"do": "delete", **mine, "session_id": "gone/1"},
    }
    return dict(zip(steps, sdk(*steps.values()), strict=True))


def test_settings_saved_meanwhile_reach_the_next_process(later: dict[str, Any]) -> None:
    new, old = later["new"], later["old"]
    assert (new["version"], new["settings"]["num_history_runs"], new["settings"]["session_summaries"]) == (3, 1, True)
    assert new["settings"]["max_tool_calls_from_history"] == 0
    assert (old["version"], old["settings"]["num_history_runs"]) == (2, 3)


def test_settings_saved_meanwhile_reach_its_adapter(
    studio_server: StudioServer, later: dict[str, Any], agent: ServedAgent
) -> None:
    """A cap of 0 is none, so there is no such argument."""
    assert later["arguments"] == {
        "db": ["AsyncPostgresDb", agent.schema],
        "session_id": "third",
        "user_id": USER,
        "add_history_to_context": True,
        "num_history_runs": 1,
        "enable_session_summaries": True,
    }
    runs = stored_runs(studio_server, agent, "third")
    assert_history(later["talk"], runs, TURNS[:4], depth=1)
    row = indexed(studio_server, agent.schema, "third")
    assert row
    assert row["has_summary"]


def test_with_storage_off_its_adapter_hands_on_nothing_and_nothing_is_stored(
    studio_server: StudioServer, later: dict[str, Any], others: list[str]
) -> None:
    assert later["off"] == {}
    assert [[message["content"] for message in sent] for sent in later["off talk"]] == [[text] for text in TURNS[:2]]
    assert studio_server.sql("select count(*) from agno_sessions", schema=schema_name(others[1])) == [(0,)]


def test_the_sdk_refuses_by_itself_what_the_studio_says_is_off(later: dict[str, Any]) -> None:
    assert later["other framework"]["raised"] == "NotImplementedError"
    assert later["storage off"]["raised"] == "LookupError"


@pytest.mark.parametrize(
    ("what", "status"),
    [("no key", 401), ("weak key", 403), ("key for elsewhere", 404), ("no agent", 404), ("no version", 404)],
)
def test_what_the_studio_refuses_becomes_the_sdks_exception(later: dict[str, Any], what: str, status: int) -> None:
    assert (later[what]["raised"], later[what]["status"]) == ("ModuleException", status)
    assert set(json.loads(later[what]["reason"])) == {"error", "detail"}


def test_it_deletes_a_session_for_good(studio_server: StudioServer, agent: ServedAgent, later: dict[str, Any]) -> None:
    assert [later[step] for step in ("delete", "deleted", "delete again")] == [None, None, None]
    assert indexed(studio_server, agent.schema, "gone/1") is None


def test_agno_3_goes_on_through_the_same_address(
    studio_server: StudioServer, talked: dict[str, Any], agent: ServedAgent
) -> None:
    three = Library(environments.AGNO_3, talked["address"], agent.schema, asynchronous=True)
    report = three(talk("second", "And on", user_id=USER), read("second"))[1]
    assert len(report["runs"]) == 3
    assert indexed(studio_server, agent.schema, "second") == counted(report)
