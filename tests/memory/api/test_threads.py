"""Threads over the API: lists, one of them, and deleting."""

from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from memory.services import deletion
from studio.agents import memory_settings, provision
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent
from tests.calls import Api
from tests.memory.api.threads import THREADS, TOOL_RUN, every, path
from tests.world import NOW, fails, run, session_ids, write_thread

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


def ids_of(page: dict[str, Any]) -> list[str]:
    return [thread["session_id"] for thread in page["items"]]


class TestList:
    def test_a_thread_is_told_without_its_content(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1", [TOOL_RUN], session_data={"session_name": "About it"})
        page = api.get(THREADS)
        rest = {"next": None, "previous": None, "total": 1, "total_is_exact": True, "behind": 0, "not_indexed": 0}
        assert page == {"items": page["items"], **rest}
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
            "user_id=bob&part=owned": {"failed"},
            "user_id=bob&part=joined": {"shared"},
            "user_id=alice@example.com&part=joined": set(),
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
            ("user_id=bob&part=mine", "part"),
            ("part=owned", "part"),
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
        # the key, its limit, the agent, the page; the search_path is that of the request before
        with django_assert_num_queries(4):
            api.get(THREADS)
        for number in range(20):
            write_thread(ada, f"u-{number}")
        with django_assert_num_queries(4):
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
        assert (event.actor, event.object, event.data) == ("key “tests”", "", {"counts": {"threads": 2}})


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

    def test_storage_that_is_off_and_another_framework_keep_nothing(self, api: Api, ada: Agent) -> None:
        write_thread(ada, "t-1")
        write_thread(ada, "t-2")
        memory_settings.save(Actor.system(), ada, {"session_storage": False}, 1)
        assert api("DELETE", path("t-1")).status == 204
        Agent.objects.filter(pk=ada.pk).update(framework="langchain")
        assert api("DELETE", path("t-2")).status == 204
        assert api("DELETE", path("t-2")).status == 404
        assert session_ids(ada) == set()

    def test_it_asks_to_try_again_while_an_agent_holds_the_thread(
        self, api: Api, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deletion, "delete_threads", fails(deletion.Busy()))
        answer = api("DELETE", path("t-1"))
        assert answer.said == (503, "The agent is writing to this thread. Try again.")
        assert answer.headers["retry-after"] == "1"


CALLS = [
    ("GET", "users"),
    ("GET", "threads"),
    ("GET", "threads/t-1"),
    ("GET", "threads/t-1/runs"),
    ("GET", "threads/t-1/messages"),
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
