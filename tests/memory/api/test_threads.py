"""Threads, runs, messages and users over the API."""

from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from memory.services import deletion
from studio import ids
from studio.agents import memory_settings, provision
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent
from tests.calls import Api
from tests.world import NOW, fails, message, run, write_thread

THREADS = "agents/agt-ada/threads"
ODD = [
    "",
    " ",
    "/",
    "../..",
    "?a=b#c",
    "a%2Fb",
    "order 7/2",
    "~b3",
    "a\nb\r",
    "نص",
    "🙂" * 3,
    "<b>'\"",
    "x" * 4000,
    ".",
]

TOOL_RUN = run(
    "r-tool",
    messages=[
        message("system", "be nice"),
        message("user", "earlier", from_history=True),
        message("user", "What is it?"),
        message("assistant", None, tool_calls=[{"id": "c1", "function": {"name": "look", "arguments": '{"at": 1}'}}]),
        message("tool", "42", tool_call_id="c1", tool_name="look"),
        message("assistant", "It is **42**."),
    ],
)


def path(session_id: str) -> str:
    return f"{THREADS}/{ids.encode(session_id)}"


def ids_of(page: dict[str, Any]) -> list[str]:
    return [thread["session_id"] for thread in page["items"]]


def every(api: Api, address: str) -> list[Any]:
    """Follow `next` to the end."""
    found, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{address}{'&' if '?' in address else '?'}cursor={cursor}")
        found += page["items"]
        cursor = page["next"]
    return found


class TestList:
    def test_a_thread_is_told_without_its_content(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", [TOOL_RUN], session_data={"session_name": "About it"})
        page = api.get(THREADS)
        assert page == {"items": page["items"], "next": None, "previous": None, "total": 1, "total_is_exact": True}
        assert page["items"] == [
            {
                "session_id": "t-1",
                "url": "/api/agents/agt-ada/threads/t-1",
                "title": "About it",
                "name": "About it",
                "session_type": "agent",
                "user_id": "alice@example.com",
                "users": ["alice@example.com"],
                "users_count": 1,
                "shared": False,
                "runs": 1,
                "messages": 4,
                "tool_calls": 1,
                "errors": 0,
                "tokens": 15,
                "input_tokens": 10,
                "output_tokens": 5,
                "last_status": "COMPLETED",
                "created_at": NOW,
                "updated_at": NOW,
                "last_activity": NOW,
            }
        ]

    def test_titles_and_search_leave_texts_alone_without_threads_read(self, ada: Agent) -> None:
        write_thread(ada, "t-1", [run("r-1", "my secret plan")])
        for scopes, title, found in (
            (["agents:read"], "t-1", 0),
            (["agents:read", "threads:read"], "my secret plan", 1),
        ):
            api = Api.with_key(*scopes)
            assert api.get(THREADS)["items"][0]["title"] == title
            assert api.get(path("t-1"))["title"] == title
            assert len(api.get(f"{THREADS}?q=secret")["items"]) == found
            assert len(api.get(f"{THREADS}?q=t-1")["items"]) == 1

    def test_filters_narrow_it(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "old", [run("r-1")], at=NOW - 90_000)
        write_thread(ada, "failed", [run("r-2", status="ERROR")], user_id="bob")
        write_thread(ada, "shared", [run("r-3"), run("r-4", user_id="bob")])
        for query, expected in {
            "user_id=bob": {"failed", "shared"},
            "status=ERROR": {"failed"},
            "errors=true": {"failed"},
            "shared=true": {"shared"},
            f"since={NOW - 100}": {"failed", "shared"},
            f"until={NOW - 100}": {"old"},
            "since=2001-09-09T01:46:40Z&until=2001-09-10": set(),
            "since=1970-01-01": {"old", "failed", "shared"},
            "q=FAIL": {"failed"},
            "user_id=": set(),
            "user_id=nobody&q=x": set(),
        }.items():
            assert set(ids_of(api.get(f"{THREADS}?{query}"))) == expected, query

    @pytest.mark.parametrize("sort", ["activity", "created", "runs", "tokens"])
    def test_every_thread_is_on_one_page(self, api: Api, ada: Agent, sort: str) -> None:
        for number in range(7):
            write_thread(ada, f"t-{number}", [run(f"r-{number}")] * (number % 2 + 1), at=NOW - number // 2)
        found = [thread["session_id"] for thread in every(api, f"{THREADS}?limit=2&sort={sort}")]
        assert sorted(found) == [f"t-{number}" for number in range(7)]

    def test_previous_leads_back(self, api: Api, ada: Agent) -> None:
        for number in range(4):
            write_thread(ada, f"t-{number}", at=NOW - number)
        first = api.get(f"{THREADS}?limit=2")
        second = api.get(f"{THREADS}?limit=2&cursor={first['next']}")
        assert ids_of(api.get(f"{THREADS}?limit=2&cursor={second['previous']}")) == ids_of(first)

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("sort=size", "sort"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=x", "limit"),
            ("since=yesterday", "since"),
            ("until=99999999999999999999", "until"),
            ("errors=maybe", "errors"),
            ("include=messages", "include"),
            ("cursor=x", "cursor"),
            ("q=" + "x" * 1001, "q"),
            ("user=bob", "user"),
            ("%00=1", "\x00"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, api: Api, ada: Agent, query: str, named: str) -> None:
        status, detail = api("GET", f"{THREADS}?{query}").said
        assert status == 422
        assert detail.startswith(f"{named}: ")

    def test_a_cursor_of_another_sort_is_refused(self, api: Api, ada: Agent) -> None:
        for number in range(2):
            write_thread(ada, f"t-{number}")
        cursor = api.get(f"{THREADS}?limit=1")["next"]
        assert api("GET", f"{THREADS}?sort=runs&cursor={cursor}").said[0] == 422

    def test_it_costs_the_same_for_many_threads(
        self, api: Api, ada: Agent, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        write_thread(ada, "t-0")
        api.get(THREADS)  # the key's last use is noted once a minute
        # the key, its limit, the agent, the search path, the page
        with django_assert_num_queries(5):
            api.get(THREADS)
        for number in range(20):
            write_thread(ada, f"u-{number}")
        with django_assert_num_queries(5):
            api.get(THREADS)

    def test_it_hides_another_agents_threads(self, api: Api, bruno: Agent, ada: Agent) -> None:
        write_thread(bruno, "t-1")
        assert api.get(THREADS)["items"] == []
        assert api("GET", path("t-1")).status == 404
        assert api("DELETE", path("t-1")).status == 404


class TestWithRuns:
    def test_each_thread_comes_with_its_first_runs(self, api: Api, ada: Agent, layout: str) -> None:
        runs = [run(f"r-{number:02}", at=NOW + number) for number in range(25)]
        write_thread(ada, "long", runs, layout=layout)
        write_thread(ada, "short", [TOOL_RUN], layout=layout, summary={"summary": "In short"}, at=NOW - 5)
        long, short = api.get(f"{THREADS}?include=runs")["items"]
        assert [one["run_id"] for one in long["first_runs"]["items"]] == [f"r-{number:02}" for number in range(20)]
        rest = api.get(f"{path('long')}/runs?cursor={long['first_runs']['next']}")
        assert [one["run_id"] for one in rest["items"]] == [f"r-{number:02}" for number in range(20, 25)]
        assert (long["summary"], short["summary"], short["first_runs"]["next"]) == (None, "In short", None)

    def test_it_is_cut_to_twenty_threads(self, api: Api, ada: Agent) -> None:
        for number in range(22):
            write_thread(ada, f"t-{number:02}", at=NOW - number)
        page = api.get(f"{THREADS}?include=runs&limit=200")
        assert len(page["items"]) == 20
        assert len(every(api, f"{THREADS}?include=runs")) == 22

    def test_large_runs_are_left_to_be_asked_for(self, api: Api, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memory.api.threads.INCLUDED", 100)
        for number in range(3):
            write_thread(ada, f"t-{number}", at=NOW - number)
        items = api.get(f"{THREADS}?include=runs")["items"]
        assert [item["first_runs"] is None for item in items] == [False, True, True]

    def test_it_is_one_event_with_the_number_of_threads(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1")
        write_thread(ada, "t-2")
        api.get(f"{THREADS}?include=runs")
        event = AuditEvent.objects.get(action="thread.read")
        assert (event.actor, event.object, event.data) == ("key “tests”", "", {"threads": 2})


class TestThread:
    @pytest.mark.parametrize("session_id", ODD)
    def test_any_id_is_found_read_and_deleted(self, api: Api, ada: Agent, session_id: str) -> None:
        write_thread(ada, session_id, [TOOL_RUN])
        listed = api.get(THREADS)["items"][0]
        assert listed["url"] == f"/api/{path(session_id)}"
        assert api.get(path(session_id))["session_id"] == session_id
        assert len(api.get(f"{path(session_id)}/messages")["items"]) == 4
        assert api("DELETE", path(session_id)).status == 204
        assert api("GET", path(session_id)).status == 404

    @pytest.mark.parametrize("user_id", ODD)
    def test_any_user_is_filtered_by(self, api: Api, ada: Agent, user_id: str) -> None:
        write_thread(ada, "theirs", user_id=user_id)
        write_thread(ada, "other")
        answer = api.client.get(f"/api/{THREADS}", {"user_id": user_id})
        assert ids_of(answer.json()) == ["theirs"]
        assert [user["user_id"] for user in api.get("agents/agt-ada/users")["items"]].count(user_id) == 1

    def test_its_summary_is_content(self, ada: Agent) -> None:
        write_thread(ada, "t-1", summary={"summary": "In short", "topics": []})
        read = AuditEvent.objects.filter(action="thread.read", object="t-1")
        assert Api.with_key("agents:read").get(path("t-1"))["summary"] is None
        assert not read.exists()
        assert Api.with_key("agents:read", "threads:read").get(path("t-1"))["summary"] == "In short"
        assert read.count() == 1

    @pytest.mark.parametrize("summary", [{}, {"summary": 7}, {"summary": None}, ["x"], "text"])
    def test_an_odd_summary_is_none(self, api: Api, ada: Agent, summary: Any) -> None:
        write_thread(ada, "t-1", summary=summary if isinstance(summary, dict | list) else '"text"')
        assert api.get(path("t-1"))["summary"] is None


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
        write_thread(ada, "t-1", [run("huge", "x" * 3_000_000), run("small", at=NOW + 1)])
        huge, small = api.get(f"{path('t-1')}/runs")["items"]
        assert (huge["problem"], huge["messages"]) == ("It is too large to be given here.", [])
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


class TestDelete:
    def test_it_is_gone_the_second_time(self, api: Api, ada: Agent, layout: str) -> None:
        write_thread(ada, "t-1", layout=layout)
        write_thread(ada, "t-2", layout=layout)
        answer = api("DELETE", path("t-1"))
        assert (answer.status, answer.body) == (204, None)
        assert api("DELETE", path("t-1")).said[0] == 404
        assert ids_of(api.get(THREADS)) == ["t-2"]
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from ag_agt_ada.agno_runs where session_id = 't-1'")
            assert cursor.fetchone() == (0,)

    def test_it_is_an_event_with_the_keys_name(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1")
        api("DELETE", path("t-1"))
        api("DELETE", path("t-1"))
        event = AuditEvent.objects.get(action="threads.delete")
        assert (event.actor_kind, event.actor, event.object) == ("key", "key “tests”", "t-1")
        assert event.data["counts"]["threads"] == 1

    def test_it_asks_to_try_again_while_an_agent_holds_the_thread(
        self, api: Api, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deletion, "delete_threads", fails(deletion.Busy()))
        answer = api("DELETE", path("t-1"))
        assert answer.said == (503, "The agent is writing to this thread. Try again.")
        assert answer.headers["retry-after"] == "1"


class TestUsers:
    def test_each_is_told_with_their_threads(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", [run("r-1", at=NOW - 10), run("r-2", user_id="bob")], at=NOW - 10)
        users = {user["user_id"]: user for user in api.get("agents/agt-ada/users")["items"]}
        assert users["bob"] == {"user_id": "bob", "threads": 1, "runs": 1, "first_seen": NOW, "last_seen": NOW}
        assert users["alice@example.com"]["threads"] == 1

    def test_they_are_found_by_the_beginning_of_their_id(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", user_id="Bob")
        write_thread(ada, "t-2", user_id="notbob")
        assert [user["user_id"] for user in api.get("agents/agt-ada/users?q=bo")["items"]] == ["Bob"]

    @pytest.mark.parametrize("sort", ["seen", "threads", "runs"])
    def test_every_user_is_on_one_page(self, api: Api, ada: Agent, sort: str) -> None:
        for number in range(5):
            write_thread(ada, f"t-{number}", user_id=f"u-{number}")
        found = [user["user_id"] for user in every(api, f"agents/agt-ada/users?limit=2&sort={sort}")]
        assert sorted(found) == [f"u-{number}" for number in range(5)]

    def test_an_unknown_parameter_is_named(self, api: Api, ada: Agent) -> None:
        assert api("GET", "agents/agt-ada/users?user_id=bob").said == (422, "user_id: there is no such parameter")


CALLS = [
    ("GET", "users"),
    ("GET", "threads"),
    ("GET", "threads/t-1"),
    ("GET", "threads/t-1/runs"),
    ("GET", "threads/t-1/messages"),
    ("DELETE", "threads/t-1"),
]


@pytest.mark.parametrize(("method", "what"), CALLS)
class TestAgentsWithoutThreads:
    def test_another_framework_has_none(self, api: Api, method: str, what: str) -> None:
        provision.create_agent(Actor.system(), agent_id="agt-chain", name="Chain", framework="langchain")
        answer = api(method, f"agents/agt-chain/{what}")
        assert answer.said == (501, "Storage for framework 'langchain' is not supported.")

    def test_storage_that_is_off_has_none(self, api: Api, ada: Agent, method: str, what: str) -> None:
        write_thread(ada, "t-1")
        memory_settings.save(Actor.system(), ada, {"session_storage": False}, 1)
        assert api(method, f"agents/agt-ada/{what}").said == (409, "session storage is off")
