"""Runs and messages over the API."""

from typing import Any

import pytest

from studio.models import Agent, AuditEvent
from tests.calls import Api
from tests.memory.api.threads import TOOL_RUN, every, path
from tests.world import NOW, message, run, write_thread


class TestRuns:
    def test_a_run_is_told_with_its_messages(self, api: Api, ada: Agent, layout: str) -> None:
        write_thread(ada, "t-1", [TOOL_RUN | {"user_id": "bob", "model_provider": "OpenAI"}], layout=layout)
        (found,) = api.get(f"{path('t-1')}/runs")["items"]
        wanted = {
            "run_id": "r-tool",
            "parent_run_id": None,
            "kind": "agent",
            "user_id": "bob",
            "status": "COMPLETED",
            "created_at": NOW,
            "model": "gpt-4o-mini",
            "provider": "OpenAI",
            "input_tokens": 10,
            "output_tokens": 5,
            "seconds": 1.5,
            "note": None,
            "problem": None,
        }
        assert {name: found[name] for name in wanted} == wanted
        assert [(one["role"], one["content"]) for one in found["messages"]] == [
            ("user", "What is it?"),
            ("assistant", ""),
            ("tool", "42"),
            ("assistant", "It is **42**."),
        ]

    def test_a_call_and_its_result_know_each_other(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", [TOOL_RUN])
        _, asked, told, _ = api.get(f"{path('t-1')}/messages")["items"]
        assert asked["tool_calls"] == [{"id": "c1", "name": "look", "arguments": '{"at": 1}'}]
        assert (told["tool_call_id"], told["tool_name"], told["tool_call_error"]) == ("c1", "look", False)

    @pytest.mark.parametrize("order", ["oldest", "newest"])
    def test_every_run_is_on_one_page_in_order(self, api: Api, ada: Agent, layout: str, order: str) -> None:
        write_thread(ada, "t-1", [run(f"r-{number}", at=NOW + number) for number in range(7)], layout=layout)
        found = [one["run_id"] for one in every(api, f"{path('t-1')}/runs?limit=2&order={order}")]
        expected = [f"r-{number}" for number in range(7)]
        assert found == (expected if order == "oldest" else expected[::-1])

    def test_previous_leads_back(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", [run(f"r-{number}", at=NOW + number) for number in range(4)])
        first = api.get(f"{path('t-1')}/runs?limit=2")
        second = api.get(f"{path('t-1')}/runs?limit=2&cursor={first['next']}")
        assert api.get(f"{path('t-1')}/runs?limit=2&cursor={second['previous']}")["items"] == first["items"]

    @pytest.mark.parametrize(
        "bad", [None, 7, "text", [], {}, {"messages": 7}, {"messages": [None, 7, "x", {}]}, {"content": {"a": [1]}}]
    )
    def test_a_bad_run_does_not_spoil_the_page(self, api: Api, ada: Agent, bad: Any) -> None:
        write_thread(ada, "t-1", [run("good"), bad])
        found = api.get(f"{path('t-1')}/runs")["items"]
        assert "good" in [one["run_id"] for one in found]
        assert api("GET", f"{path('t-1')}/messages").status == 200

    def test_a_run_that_is_too_large_says_so(self, api: Api, ada: Agent) -> None:
        write_thread(
            ada, "t-1", [run("huge", messages=[message("user", "word " * 20_000)] * 30), run("small", at=NOW + 1)]
        )
        huge, small = api.get(f"{path('t-1')}/runs")["items"]
        assert huge["problem"] == "It is too large to be given here."
        assert [one["role"] for one in huge["messages"]] == ["note"]
        assert huge["bytes"] > 3_000_000
        assert len(small["messages"]) == 2

    def test_a_run_of_hostile_text_is_given_as_it_is(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", [run("r-1", "<script>alert(1)</script>\u2028")])
        assert api.get(f"{path('t-1')}/messages")["items"][0]["content"] == "<script>alert(1)</script>\u2028"


class TestMessages:
    @pytest.mark.parametrize("limit", [1, 3, 200])
    def test_every_message_is_on_one_page_in_order(self, api: Api, ada: Agent, layout: str, limit: int) -> None:
        runs = [run(f"r-{number}", f"q{number}", f"a{number}", at=NOW + number) for number in range(25)]
        write_thread(ada, "t-1", runs, layout=layout)
        found = every(api, f"{path('t-1')}/messages?limit={limit}")
        assert [one["content"] for one in found] == [f"{who}{number}" for number in range(25) for who in "qa"]

    def test_runs_without_messages_do_not_end_it(self, api: Api, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memory.api.runs.RUNS", 1)
        empty = {"run_id": "x", "messages": [], "content": None, "input": None}
        runs = [empty | {"run_id": f"e-{number}", "created_at": NOW + number} for number in range(25)]
        write_thread(ada, "t-1", [*runs, run("last", at=NOW + 30)])
        assert [one["run_id"] for one in every(api, f"{path('t-1')}/messages")] == ["last", "last"]

    @pytest.mark.parametrize("cursor", ["x", "1", ".", "-1.", "99999999999.", "1.x", "٣.", "1e3."])
    def test_a_foreign_cursor_is_refused(self, api: Api, ada: Agent, cursor: str) -> None:
        write_thread(ada, "t-1")
        assert api("GET", f"{path('t-1')}/messages?cursor={cursor}").said[0] == 422

    @pytest.mark.parametrize("what", ["runs", "messages"])
    def test_reading_is_an_event_with_the_keys_name(self, api: Api, ada: Agent, what: str) -> None:
        write_thread(ada, "t-1")
        api.get(f"{path('t-1')}/{what}")
        event = AuditEvent.objects.get(action="thread.read")
        assert (event.actor_kind, event.actor, event.agent_id, event.object) == ("key", "key “tests”", "agt-ada", "t-1")

    @pytest.mark.parametrize("what", ["", "/runs", "/messages"])
    def test_a_thread_that_is_not_there(self, api: Api, ada: Agent, what: str) -> None:
        assert api("GET", f"{path('never')}{what}").said[0] == 404
