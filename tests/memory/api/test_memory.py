"""Memory settings over the API."""

from typing import Any

import pytest

from studio.agents import memory_settings, provision
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, MemorySettingsVersion
from tests.calls import Api

PATH = "agents/agt-ada/memory"


@pytest.fixture(autouse=True)
def _agent(ada: Agent) -> None: ...


def test_it_shows_what_is_saved_and_its_version(api: Api) -> None:
    answer = api("GET", PATH)
    assert answer.headers["etag"] == '"1"'
    assert {name: value for name, value in answer.body.items() if name != "updated_at"} == {
        "version": 1,
        "session_storage": True,
        "num_history_runs": 10,
        "max_tool_calls_from_history": 0,
        "session_summaries": False,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"num_history_runs": 5},
        {"session_storage": False, "session_summaries": True},
        {"max_tool_calls_from_history": 10_000, "num_history_runs": 1},
        {"num_history_runs": 1000.0},
    ],
)
def test_any_subset_is_saved_and_the_rest_stays(api: Api, change: dict[str, object]) -> None:
    before = api.get(PATH)
    answer = api("PATCH", PATH, change)
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    assert answer.body == api.get(PATH)
    assert answer.body == before | change | {"version": 2, "updated_at": answer.body["updated_at"]}


def test_a_change_is_a_version_and_an_event_with_the_keys_name(api: Api) -> None:
    api("PATCH", PATH, {"num_history_runs": 5})
    assert MemorySettingsVersion.objects.get(agent_id="agt-ada", version=2).actor == "key “tests”"
    event = AuditEvent.objects.get(action="settings.save")
    assert (event.actor_kind, event.actor, event.data["changes"]) == (
        "key",
        "key “tests”",
        {"num_history_runs": [10, 5]},
    )


@pytest.mark.parametrize("change", [{}, {"num_history_runs": 10}])
def test_nothing_changed_is_no_version(api: Api, change: dict[str, object]) -> None:
    assert api("PATCH", PATH, change).body["version"] == 1
    assert not AuditEvent.objects.filter(action="settings.save").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_history_runs", 0),
        ("num_history_runs", 1001),
        ("num_history_runs", -1),
        ("num_history_runs", 5.5),
        ("num_history_runs", "5"),
        ("num_history_runs", True),
        ("num_history_runs", None),
        ("num_history_runs", 10**30),
        ("num_history_runs", [5]),
        ("max_tool_calls_from_history", -1),
        ("max_tool_calls_from_history", 10_001),
        ("session_storage", "yes"),
        ("session_storage", 1),
        ("session_storage", None),
        ("session_summaries", {}),
        ("version", 1),
        ("history_runs", 5),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_saved(api: Api, field: str, value: object) -> None:
    status, detail = api("PATCH", PATH, {"session_storage": False, field: value}).said
    assert status == 422
    assert detail.startswith(f"{field}: ")
    assert api.get(PATH)["version"] == 1


@pytest.mark.parametrize("header", ['"1"', "1", "*", '"0", "1"', 'W/"0", "1"'])
def test_it_saves_on_top_of_the_version_that_was_seen(api: Api, header: str) -> None:
    assert api("PATCH", PATH, {"num_history_runs": 5}, if_match=header).body["version"] == 2


@pytest.mark.parametrize("header", ['"0"', '"2"', "2", 'W/"1"', '"', "x", "", '"1 "', '"11"', "9" * 500])
def test_it_saves_nothing_on_top_of_another_version(api: Api, header: str) -> None:
    answer = api("PATCH", PATH, {"num_history_runs": 5}, if_match=header)
    assert answer.said == (412, "The settings are at version 1 by now.")
    assert answer.headers["etag"] == '"1"'
    assert api.get(PATH)["num_history_runs"] == 10


@pytest.fixture
def overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """An admin saves between the moment when the API reads the version and the one when it saves."""
    save, agent = memory_settings.save, Agent.objects.get(pk="agt-ada")

    def late(*args: Any) -> Any:
        monkeypatch.setattr(memory_settings, "save", save)
        save(Actor.system(), agent, {"session_summaries": True}, 1)
        return save(*args)

    monkeypatch.setattr(memory_settings, "save", late)


@pytest.mark.usefixtures("overtaken")
def test_somebody_saving_in_the_same_moment_is_not_overwritten(api: Api) -> None:
    assert api("PATCH", PATH, {"num_history_runs": 5}, if_match='"1"').said[0] == 412
    assert (api.get(PATH)["version"], api.get(PATH)["num_history_runs"]) == (2, 10)


@pytest.mark.usefixtures("overtaken")
def test_without_a_version_it_saves_on_top_of_whatever_is_there(api: Api) -> None:
    body = api("PATCH", PATH, {"num_history_runs": 5}).body
    assert (body["version"], body["num_history_runs"], body["session_summaries"]) == (3, 5, True)


def test_other_frameworks_have_settings_but_none_to_change(api: Api) -> None:
    provision.create_agent(Actor.system(), agent_id="agt-chain", name="Chain", framework="langchain")
    assert api.get("agents/agt-chain/memory")["version"] == 1
    answer = api("PATCH", "agents/agt-chain/memory", {"num_history_runs": 5})
    assert answer.said == (501, "Memory settings for framework 'langchain' are not supported.")
