"""Reading an agent's part of the audit log: kinds, persons, pages, and the sign-ins behind it."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from studio.audit import events
from studio.audit import record as audit
from studio.audit.events import PAGE, Page
from studio.audit.record import ACTIONS, Actor
from studio.models import Agent

DANA = Actor("person", "901", "Dana Levi", ip="10.0.0.4")
OMAR = Actor("person", "902", "Omar Haddad", ip="10.0.0.5")
KEY = Actor("key", "901", "ci-deploy")


def read(agent: Agent, actor: Actor = DANA, session_id: str = "s") -> int:
    return audit.record(actor, "thread.read", agent=agent, object=session_id).pk


def sign_in(actor: Actor) -> int:
    return audit.record(actor, "person.sign_in", object="d@example.com", data={"how": "password"}).pk


def ids(page: Page) -> list[int]:
    return [event.id for event in page.events]


def mine(agent: Agent, **more: Any) -> Page:
    """The agent's log without the event of its creation, which every agent has."""
    page = events.of_agent(agent.pk, **more)
    return Page([event for event in page.events if event.action != "agent.create"], page.people, page.older)


class TestTheList:
    def test_it_holds_this_agents_events_newest_first(self, ada: Agent, bruno: Agent) -> None:
        first, _, last = read(ada), read(bruno), read(ada)
        assert ids(mine(ada)) == [last, first]

    def test_it_leaves_out_what_belongs_to_no_agent(self, ada: Agent) -> None:
        audit.record(DANA, "link.create", object="x@example.com")
        assert ids(mine(ada)) == []

    def test_an_unknown_agent_has_nothing(self, db: None) -> None:
        assert events.of_agent("agt-nobody") == Page([], [], None)

    def test_an_event_tells_who_what_and_how_much(self, ada: Agent) -> None:
        changes = {"num_history_runs": [10, 5]}
        audit.record(
            DANA,
            "threads.delete",
            agent=ada,
            object="s-1",
            data={"changes": changes, "counts": {"threads": 1, "tool_calls": 3}},
            reason="asked for by the user",
        )
        (event,) = mine(ada).events
        assert (event.by.key, event.by.name, event.ip) == ("person:901", "Dana Levi", "10.0.0.4")
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
        audit.record(DANA, "settings.save", agent=ada, data=data)
        (event,) = mine(ada).events
        assert (event.changes, event.counts, event.words) == ([], [], "changed memory settings")

    def test_large_data_is_cut_to_what_is_shown(self, ada: Agent) -> None:
        names = [f"session-{n:09}" for n in range(20_000)]
        audit.record(DANA, "threads.delete", agent=ada, data={"ids": names, "counts": {"threads": 20_000}})
        (event,) = mine(ada).events
        assert event.counts == [(20_000, "threads")]
        assert "ids" not in event.data


class TestFilters:
    def test_by_kind(self, ada: Agent) -> None:
        saved = audit.record(DANA, "settings.save", agent=ada).pk
        restored = audit.record(DANA, "settings.restore", agent=ada).pk
        was_read = read(ada)
        deleted = audit.record(DANA, "threads.delete", agent=ada).pk
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
        saved = audit.record(DANA, "settings.save", agent=ada).pk
        audit.record(OMAR, "settings.save", agent=ada)
        assert ids(mine(ada, kind="settings", who="person:901")) == [saved]

    def test_everybody_who_acted_here_can_be_chosen_by_their_latest_name(self, ada: Agent, bruno: Agent) -> None:
        read(ada, Actor("person", "901", "Dana Old"))
        read(ada, DANA)
        read(ada, KEY)
        read(bruno, OMAR)
        people = [(one.key, one.name) for one in events.of_agent(ada.pk, kind="deletions").people]
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
        assert (len(first.events), len(second.events), third.older) == (PAGE, PAGE, None)

    def test_a_full_last_page_has_no_older_one(self, ada: Agent) -> None:
        for _ in range(PAGE):
            read(ada)
        assert mine(ada, kind="reading").older is None

    def test_one_query_whatever_is_asked(self, ada: Agent, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        for number in range(30):
            actor = Actor("person", str(number), f"Person {number}")
            sign_in(actor)
            read(ada, actor)
        for more in ({}, {"kind": "sign-ins"}, {"who": "person:3"}):
            with django_assert_num_queries(1):
                events.of_agent(ada.pk, **more)


class TestSignIns:
    def test_a_sign_in_is_listed_with_the_agents_it_touched(self, ada: Agent, bruno: Agent) -> None:
        entered = sign_in(DANA)
        was_read = read(ada)
        assert ids(mine(ada)) == [was_read, entered]
        assert ids(mine(bruno)) == []
        assert mine(ada).events[1].words == "signed in (password)"

    def test_only_the_sign_in_before_the_act_is_listed(self, ada: Agent, bruno: Agent) -> None:
        sign_in(DANA)
        read(bruno)
        second = sign_in(DANA)
        was_read = read(ada)
        sign_in(DANA)
        assert ids(mine(ada)) == [was_read, second]

    def test_somebody_elses_sign_in_is_not(self, ada: Agent) -> None:
        sign_in(OMAR)
        entered = sign_in(DANA)
        was_read = read(ada, DANA)
        assert ids(mine(ada)) == [was_read, entered]

    def test_a_key_with_a_persons_number_does_not_bring_their_sign_in(self, ada: Agent) -> None:
        sign_in(DANA)
        assert ids(mine(ada)) == []
        by_key = read(ada, KEY)
        assert ids(mine(ada)) == [by_key]

    def test_it_is_listed_once_however_much_was_done(self, ada: Agent) -> None:
        entered = sign_in(DANA)
        acts = [read(ada) for _ in range(3)]
        assert ids(mine(ada)) == [*acts[::-1], entered]

    def test_filters_hold_for_sign_ins_too(self, ada: Agent) -> None:
        hers = sign_in(DANA)
        his = sign_in(OMAR)
        read(ada, DANA)
        read(ada, OMAR)
        assert ids(mine(ada, kind="sign-ins")) == [his, hers]
        assert ids(mine(ada, kind="sign-ins", who="person:901")) == [hers]
        assert hers not in ids(mine(ada, kind="reading"))
        assert his not in ids(mine(ada, who="person:901"))

    def test_a_page_that_begins_between_a_sign_in_and_the_act_holds_the_sign_in(self, ada: Agent) -> None:
        entered = sign_in(DANA)
        first = read(ada, OMAR)
        was_read = read(ada, DANA)
        assert ids(mine(ada, below=was_read)) == [first, entered]
        assert ids(mine(ada, below=entered)) == []

    def test_somebody_with_many_sign_ins_has_pages_of_them(self, ada: Agent) -> None:
        entered = []
        for _ in range(PAGE + 5):
            entered.append(sign_in(DANA))
            read(ada)
        first = mine(ada, kind="sign-ins")
        second = mine(ada, kind="sign-ins", below=first.older)
        assert ids(first) + ids(second) == entered[::-1]

    def test_pages_hold_each_of_them_once(self, ada: Agent) -> None:
        expected = []
        for number in range(PAGE):
            actor = Actor("person", str(number % 7), "Somebody")
            expected += [sign_in(actor), read(ada, actor)]
            if number % 3 == 0:
                sign_in(OMAR)
                expected.append(read(ada, KEY))
        seen: list[int] = []
        below: int | None = None
        while True:
            page = mine(ada, below=below)
            seen += ids(page)
            below = page.older
            if below is None:
                break
        assert seen == expected[::-1]
