"""Reading the audit log: kinds, persons, agents, days, pages."""

from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from studio.agents import provision
from studio.audit import events, search
from studio.audit.record import ACTIONS, Actor, record
from studio.audit.search import PAGE, Filters, Page
from studio.models import Agent
from tests.studio.audit.events import read
from tests.world import DANA, OMAR

KEY = Actor("key", "901", "ci-deploy")


def ids(page: Page) -> list[int]:
    return [one.event.id for one in page.found]


def mine(agent: Agent, *, below: int | None = None, **more: Any) -> Page:
    """The agent's log without the event of its creation, which every agent has."""
    page = search.page(Filters(agent=agent.pk, **more), below)
    return Page([one for one in page.found if one.event.action != "agent.create"], page.older)


class TestTheList:
    def test_it_holds_this_agents_events_newest_first(self, ada: Agent, bruno: Agent) -> None:
        first, _, last = read(ada), read(bruno), read(ada)
        assert ids(mine(ada)) == [last, first]

    def test_it_leaves_out_what_belongs_to_no_agent(self, ada: Agent) -> None:
        record(DANA, "link.create", object="x@example.com")
        assert ids(mine(ada)) == []

    def test_an_unknown_agent_has_nothing(self, db: None) -> None:
        assert search.page(Filters(agent="agt-nobody")) == Page([], None)
        assert search.actors_of("agt-nobody") == []

    def test_an_event_tells_who_what_and_how_much(self, ada: Agent) -> None:
        changes = {"num_history_runs": [10, 5]}
        record(
            DANA,
            "threads.delete",
            agent=ada,
            object="s-1",
            data={"changes": changes, "counts": {"threads": 1, "tool_calls": 3}},
            reason="asked for by the user",
        )
        event = mine(ada).found[0].event
        assert (event.by.kind, event.by.id, event.by.name, event.ip) == ("person", "901", "Dana Levi", "10.0.0.4")
        assert (event.words, event.object, event.reason) == ("deleted threads", "s-1", "asked for by the user")
        assert event.changes == [("num_history_runs", 10, 5)]
        assert event.counts == [(1, "thread"), (3, "tool calls")]

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"changes": [], "counts": 5},
            {"changes": {"a": "b", "c": [1]}, "counts": {"threads": "many", "runs": True}},
            {"changes": None, "counts": None, "how": 7},
        ],
    )
    def test_data_of_another_shape_is_left_out(self, ada: Agent, data: dict[str, Any]) -> None:
        record(DANA, "settings.save", agent=ada, data=data)
        event = mine(ada).found[0].event
        assert (event.changes, event.counts, event.words) == ([], [], "changed memory settings")

    def test_large_data_is_cut_to_what_is_shown(self, ada: Agent) -> None:
        names = [f"session-{n:09}" for n in range(20_000)]
        record(DANA, "threads.delete", agent=ada, data={"ids": names, "counts": {"threads": 20_000}})
        event = mine(ada).found[0].event
        assert event.counts == [(20_000, "threads")]
        assert "ids" not in event.data


class TestFilters:
    def test_by_kind(self, ada: Agent) -> None:
        saved = record(DANA, "settings.save", agent=ada).pk
        restored = record(DANA, "settings.restore", agent=ada).pk
        was_read = read(ada)
        deleted = record(DANA, "threads.delete", agent=ada).pk
        assert ids(mine(ada, kind="settings")) == [restored, saved]
        assert ids(mine(ada, kind="reading")) == [was_read]
        assert ids(mine(ada, kind="deletions")) == [deleted]

    def test_by_person(self, ada: Agent) -> None:
        hers, his = read(ada, DANA), read(ada, OMAR)
        assert ids(mine(ada, who="person:901")) == [hers]
        assert ids(mine(ada, who="person:902")) == [his]
        assert ids(mine(ada, who="person:1000")) == []

    def test_a_key_is_not_the_person_of_the_same_number(self, ada: Agent) -> None:
        hers, by_key = read(ada, DANA), read(ada, KEY)
        assert ids(mine(ada, who="key:901")) == [by_key]
        assert ids(mine(ada, who="person:901")) == [hers]

    def test_by_both(self, ada: Agent) -> None:
        read(ada, DANA)
        saved = record(DANA, "settings.save", agent=ada).pk
        record(OMAR, "settings.save", agent=ada)
        assert ids(mine(ada, kind="settings", who="person:901")) == [saved]

    def test_everybody_who_acted_here_can_be_chosen_by_their_latest_name(self, ada: Agent, bruno: Agent) -> None:
        read(ada, Actor("person", "901", "Dana Old"))
        read(ada, DANA)
        read(ada, KEY)
        read(bruno, OMAR)
        people = [(one.value, one.name) for one in search.actors_of(ada.pk)]
        assert people == [("system:", "Agent Studio"), ("key:901", "ci-deploy"), ("person:901", "Dana Levi")]

    def test_each_action_is_of_one_kind_and_each_kind_has_actions(self) -> None:
        found = events.kinds()
        assert sorted(action for actions in found.values() for action in actions) == sorted(ACTIONS)
        assert all(found.values())
        assert [kind for kind, _ in events.kind_labels()] == list(found)


class TestPages:
    def test_they_continue_below_the_last_event(self, ada: Agent) -> None:
        made = [read(ada) for _ in range(2 * PAGE + 5)][::-1]
        first = mine(ada, kind="reading")
        second = mine(ada, kind="reading", below=first.older)
        third = mine(ada, kind="reading", below=second.older)
        assert ids(first) + ids(second) + ids(third) == made
        assert (len(first.found), len(second.found), third.older) == (PAGE, PAGE, None)

    def test_a_full_last_page_has_no_older_one(self, ada: Agent) -> None:
        for _ in range(PAGE):
            read(ada)
        assert mine(ada, kind="reading").older is None

    def test_one_query_whatever_is_asked(self, ada: Agent, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for number in range(30):
            read(ada, Actor("person", str(number), f"Person {number}"))
        for more in ({}, {"kind": "sign-ins"}, {"who": "person:3"}):
            with django_assert_num_queries(1):
                search.page(Filters(agent=ada.pk, **more))
        with django_assert_num_queries(1):
            assert len(search.actors_of(ada.pk)) == 31

    def test_who_acted_is_found_along_the_index(self, ada: Agent) -> None:
        for _ in range(60):
            read(ada, DANA)
        with connection.cursor() as cursor:
            # in so small a table other ways cost the same, and are taken now and then
            cursor.execute("drop index studio_audit_actor")
            for way in ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_incremental_sort"):
                cursor.execute(f"set local {way} = off")
            cursor.execute("explain (format json) " + search._PEOPLE_OF, {"agent": ada.pk})
            plan = str(cursor.fetchone()[0])
        assert "studio_audit_agent_actor" in plan
        assert "Seq Scan" not in plan


def test_a_page_has_the_beginning_of_long_values_but_for_the_event_that_is_asked_for(ada: Agent) -> None:
    provision.edit_agent(DANA, ada, instructions="x" * 20_000)
    wanted = search.Filters(agent=ada.pk, kind="agent")
    event = search.page(wanted).found[0].event
    assert [len(after) for _, _, after in event.changes] == [search.SHOWN + 1]
    whole = search.page(wanted, whole=event.id).found[0].event
    assert [len(after) for _, _, after in whole.changes] == [20_000]
