"""What a start sets right, and what the studio does again and again."""

from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from memory.services import replay
from studio.agents import database_role, writing
from studio.agents.watchdog import Watchdog
from studio.audit import refusals
from studio.management.commands import serve
from studio.models import Agent, MemorySettings, Session
from studio.people.sessions import SessionStore
from tests.world import signed_in, sql

MINUTE = 60


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> dict[Any, float]:
    """What is done again and again, and after how many seconds."""
    found: dict[Any, float] = {}
    monkeypatch.setattr(serve.upkeep, "start", lambda stopping, work, every: found.update({work: every}))
    serve.Command().keep_up(Event(), Watchdog(), bundled=True)
    return found


def test_a_backup_that_is_restored_is_looked_for_every_minute(rounds: dict[Any, float]) -> None:
    assert rounds[replay.replay_if_older] <= MINUTE


def test_what_was_left_out_of_the_log_is_told_every_minute(rounds: dict[Any, float]) -> None:
    assert rounds[refusals.sweep] <= MINUTE


def test_sessions_that_have_ended_go(rounds: dict[Any, float], admin: Any) -> None:
    signed_in(admin)
    signed_in(admin)
    first = Session.objects.first()
    assert first is not None
    Session.objects.filter(pk=first.pk).update(expire_date=datetime.now(UTC) - timedelta(seconds=1))
    (clear,) = [work for work in rounds if work == SessionStore.clear_expired]
    clear()
    assert rounds[clear] <= MINUTE
    assert not Session.objects.filter(pk=first.pk).exists()
    assert Session.objects.exists()


def test_a_start_takes_the_right_to_write_from_agents_that_do_not_store(
    ada: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier release left them."""
    monkeypatch.setattr(serve.migrate, "migrate", serve.migrate.Migrated)
    monkeypatch.setattr(serve.first_start, "collect_static", lambda data_dir: False)
    monkeypatch.setattr(serve.first_start, "add_demo", lambda data_dir, wanted: False)
    MemorySettings.objects.filter(agent=ada).update(session_storage=False)
    role, table = database_role.find(ada).name, f"{ada.schema_name}.agno_sessions"
    may = "select has_table_privilege(%s, %s, 'insert')"
    assert sql(may, role, table) == [(True,)]
    serve.Command().prepare(serve.settings.DATA_DIR)
    assert sql(may, role, table) == [(False,)]
    assert writing.heal() == []
