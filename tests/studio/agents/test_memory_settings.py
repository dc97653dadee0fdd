"""Saving memory settings: versions, restoring, conflicts, and what the audit log keeps of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from studio.agents import memory_settings, provision
from studio.agents.memory_settings import FIELDS, Conflict
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, MemorySettings, MemorySettingsVersion
from tests.rounds import rounds
from tests.world import DANA, fails

OMAR = Actor("key", "7", "ci-deploy")


def version(agent: Agent) -> int:
    return MemorySettings.objects.get(agent=agent).version


def save(agent: Agent, **values: Any) -> MemorySettings:
    return memory_settings.save(DANA, agent, values, version(agent))


def events(agent: Agent) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(agent_id=agent.pk, action__startswith="settings.").order_by("id"))


class TestSaving:
    def test_a_new_agent_starts_with_the_defaults_as_version_1(self, ada: Agent) -> None:
        assert memory_settings.defaults() == {
            "session_storage": True,
            "num_history_runs": 10,
            "max_tool_calls_from_history": 0,
            "session_summaries": False,
        }
        assert memory_settings.values_at(ada, 1) == memory_settings.defaults()

    def test_it_makes_a_version_with_what_changed_and_who_did_it(self, ada: Agent) -> None:
        saved = save(ada, num_history_runs=5, session_summaries=True)
        assert (saved.version, saved.num_history_runs, saved.session_summaries) == (2, 5, True)
        kept = MemorySettingsVersion.objects.get(agent=ada, version=2)
        assert kept.actor == "Dana Levi"
        assert kept.changes == {"num_history_runs": [10, 5], "session_summaries": [False, True]}
        assert kept.values == {**memory_settings.defaults(), "num_history_runs": 5, "session_summaries": True}

    def test_it_is_audited_with_the_same_changes(self, ada: Agent) -> None:
        save(ada, num_history_runs=5)
        (event,) = events(ada)
        assert (event.action, event.actor, event.ip, event.object) == ("settings.save", "Dana Levi", "10.0.0.4", "v2")
        assert event.data == {"changes": {"num_history_runs": [10, 5]}, "version": 2}

    def test_what_is_not_given_stays(self, ada: Agent) -> None:
        save(ada, num_history_runs=5)
        saved = save(ada, session_storage=False)
        assert (saved.num_history_runs, saved.session_storage) == (5, False)

    def test_saving_the_same_values_writes_nothing(self, ada: Agent) -> None:
        assert memory_settings.save(DANA, ada, memory_settings.defaults(), 1).version == 1
        assert not events(ada)
        assert MemorySettingsVersion.objects.filter(agent=ada).count() == 1

    @pytest.mark.parametrize(
        "values", [{"num_history_runs": 1}, {"num_history_runs": 1000}, {"max_tool_calls_from_history": 10_000}]
    )
    def test_the_limits_can_be_saved(self, ada: Agent, values: dict[str, Any]) -> None:
        assert memory_settings.values_of(save(ada, **values)) == {**memory_settings.defaults(), **values}

    @pytest.mark.parametrize(
        "values",
        [
            {"num_history_runs": 0},
            {"num_history_runs": 1001},
            {"num_history_runs": -1},
            {"max_tool_calls_from_history": 10_001},
            {"max_tool_calls_from_history": -1},
            {"num_history_runs": 10**30},
        ],
    )
    def test_nothing_beyond_the_limits_can_be_saved(self, ada: Agent, values: dict[str, Any]) -> None:
        with pytest.raises(ValidationError) as refused:
            save(ada, **values)
        assert set(refused.value.message_dict) == set(values)
        assert version(ada) == 1
        assert not events(ada)

    def test_it_leaves_other_agents_alone(self, ada: Agent, bruno: Agent) -> None:
        save(ada, num_history_runs=3)
        assert memory_settings.values_of(MemorySettings.objects.get(agent=bruno)) == memory_settings.defaults()

    def test_without_its_audit_event_nothing_is_saved(self, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("studio.agents.memory_settings.record", fails(RuntimeError("no audit")))
        with pytest.raises(RuntimeError):
            save(ada, num_history_runs=3)
        assert version(ada) == 1
        assert MemorySettingsVersion.objects.filter(agent=ada).count() == 1


class TestRestoring:
    def test_it_saves_the_old_values_as_a_new_version(self, ada: Agent) -> None:
        save(ada, num_history_runs=5, session_storage=False)
        save(ada, num_history_runs=7)
        saved = memory_settings.restore(DANA, ada, 1, 3)
        assert (saved.version, memory_settings.values_of(saved)) == (4, memory_settings.defaults())
        assert events(ada)[-1].action == "settings.restore"
        assert events(ada)[-1].data["changes"] == {"session_storage": [False, True], "num_history_runs": [7, 10]}

    def test_restoring_what_is_saved_writes_nothing(self, ada: Agent) -> None:
        assert memory_settings.restore(DANA, ada, 1, 1).version == 1
        assert not events(ada)

    def test_it_refuses_a_version_that_never_was(self, ada: Agent, bruno: Agent) -> None:
        save(bruno, num_history_runs=5)
        with pytest.raises(MemorySettingsVersion.DoesNotExist):
            memory_settings.restore(DANA, ada, 2, 1)

    def test_it_conflicts_when_somebody_saved_meanwhile(self, ada: Agent) -> None:
        save(ada, num_history_runs=5)
        with pytest.raises(Conflict):
            memory_settings.restore(DANA, ada, 1, 1)
        assert version(ada) == 2


class TestConflicts:
    def test_the_second_save_from_the_same_version_is_refused_and_told_what_is_saved(self, ada: Agent) -> None:
        memory_settings.save(OMAR, ada, {"num_history_runs": 8}, 1)
        with pytest.raises(Conflict) as conflict:
            memory_settings.save(DANA, ada, {"num_history_runs": 5}, 1)
        assert conflict.value.current.num_history_runs == 8
        assert conflict.value.latest is not None
        assert (conflict.value.latest.actor, conflict.value.latest.version) == ("ci-deploy", 2)
        assert conflict.value.base(1) == memory_settings.defaults()

    @pytest.mark.parametrize("base", [0, -1, 2, 99, 10**12])
    def test_a_version_that_never_was_has_no_values(self, ada: Agent, base: int) -> None:
        memory_settings.save(OMAR, ada, {"num_history_runs": 8}, 1)
        conflict = Conflict(MemorySettings.objects.get(agent=ada))
        assert conflict.base(base) == {}

    def test_merging_keeps_the_changes_of_both(self) -> None:
        base = memory_settings.defaults()
        theirs = {**base, "num_history_runs": 8, "session_summaries": True}
        mine = {**base, "num_history_runs": 5, "max_tool_calls_from_history": 3}
        assert memory_settings.merge(base, theirs, mine) == {
            "session_storage": True,
            "num_history_runs": 5,
            "max_tool_calls_from_history": 3,
            "session_summaries": True,
        }

    def test_merging_without_a_known_start_takes_all_that_was_posted(self) -> None:
        assert memory_settings.merge({}, {"a": 1, "b": 2}, {"a": 9}) == {"a": 9, "b": 2}


class TestVersions:
    def test_they_come_newest_first_and_continue_below_one(self, ada: Agent) -> None:
        for runs in range(11, 16):
            save(ada, num_history_runs=runs)
        assert [one.version for one in memory_settings.versions(ada, limit=3)] == [6, 5, 4]
        assert [one.version for one in memory_settings.versions(ada, below=4, limit=9)] == [3, 2, 1]
        assert memory_settings.versions(ada, below=1) == []

    def test_each_holds_every_field(self, ada: Agent) -> None:
        save(ada, num_history_runs=3)
        assert all(set(one.values) == set(FIELDS) for one in memory_settings.versions(ada))


@pytest.mark.attack
class TestSavingAtOnce:
    """On committed rows, because each thread has a connection of its own."""

    @pytest.fixture
    def shared(self, transactional_db: None) -> Iterator[Agent]:
        agent = provision.create_agent(Actor.system(), agent_id="agt-raced", name="Raced")
        yield agent
        provision.remove_agent(Actor.system(), agent)

    def test_of_two_saves_from_the_same_version_one_is_refused(self, shared: Agent) -> None:
        for base in range(1, rounds(9, 99)):
            made, conflicts = race(
                shared, base, {"num_history_runs": 100 + base}, {"max_tool_calls_from_history": base}
            )
            assert (made, conflicts) == ([base + 1], 1)

    def test_no_update_is_lost_and_the_audit_log_holds_the_successes(self, shared: Agent) -> None:
        successes = 0
        for base in range(1, rounds(6, 99)):
            made, conflicts = race(shared, base, *({"num_history_runs": 10 * base + n} for n in range(2, 8)))
            assert (len(made), conflicts) == (1, 5)
            successes += len(made)
        saved = MemorySettings.objects.get(agent=shared)
        history = memory_settings.versions(shared, limit=200)
        assert saved.version == successes + 1 == len(history)
        assert history[0].values == memory_settings.values_of(saved)
        # each version was changed from the one before it: nobody's save was overwritten unseen
        for newer, older in pairwise(history):
            assert newer.changes["num_history_runs"][0] == older.values["num_history_runs"]
        assert [event.object for event in events(shared)][-successes:] == [f"v{n}" for n in range(2, successes + 2)]


def race(agent: Agent, base: int, *saves: dict[str, Any]) -> tuple[list[int], int]:
    """Save all of them at once from version `base`; return the versions made and the number of conflicts."""
    together = threading.Barrier(len(saves))

    def one(values: dict[str, Any]) -> int | None:
        try:
            together.wait()
            return memory_settings.save(DANA, agent, values, base).version
        except Conflict:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(len(saves)) as threads:
        answers = list(threads.map(one, saves))
    return [answer for answer in answers if answer], answers.count(None)
