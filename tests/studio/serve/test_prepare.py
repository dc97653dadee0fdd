"""What a start does only when it has to."""

import logging
import os
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django_tenants.utils import get_tenant_model

from studio.agents import provision
from studio.audit.record import Actor
from studio.postgres import StartFailure
from studio.postgres.binaries import OLDEST
from studio.serve import first_start, migrate, upkeep


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the management commands that would have been run."""
    names: list[str] = []
    monkeypatch.setattr(first_start, "call_command", lambda name, **options: names.append(name))
    return names


@pytest.mark.django_db
def test_nothing_is_behind_in_a_migrated_database(django_assert_num_queries: Any) -> None:
    make_agents(3)
    with django_assert_num_queries(4):
        assert migrate.unmigrated() == []
    assert migrate.migrate() == migrate.Migrated()


@pytest.mark.django_db
def test_an_agent_that_lacks_a_migration_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """More agents than fit one query, and one whose schema is gone."""
    monkeypatch.setattr(migrate, "SCHEMAS_A_QUERY", 2)
    names = make_agents(4)
    with connection.cursor() as cursor:
        cursor.execute(f"delete from {names[1]}.django_migrations where app = 'memory'")
        cursor.execute(f"drop table {names[2]}.django_migrations")
        cursor.execute(f"drop schema {names[3]} cascade")
    assert migrate.unmigrated() == [names[1], names[2]]


@pytest.mark.django_db
def test_public_comes_first() -> None:
    with connection.cursor() as cursor:
        cursor.execute("delete from public.django_migrations where app = 'studio'")
    assert migrate.unmigrated() == ["public"]


@pytest.mark.django_db
def test_a_server_that_is_too_old_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = connection.cursor().connection.info.server_version // 10_000 + 1
    monkeypatch.setattr(migrate, "OLDEST", newer)
    with pytest.raises(StartFailure, match=rf"^This is Postgres {newer - 1}: the studio needs {newer} or newer\.$"):
        migrate.check()


@pytest.mark.django_db
def test_the_oldest_server_has_every_constraint_of_the_models() -> None:
    """Django leaves out what a server cannot do, such as one grant each where the agent is empty, before 15."""
    assert OLDEST == 15
    with connection.cursor() as cursor:
        cursor.execute("select conname from pg_constraint union select relname from pg_class")
        there = {name for (name,) in cursor.fetchall()}
        cursor.execute("select indnullsnotdistinct from pg_index where indexrelid = 'public.one_grant_each'::regclass")
        assert cursor.fetchone() == (True,)
    wanted = {one.name for model in apps.get_app_config("studio").get_models() for one in model._meta.constraints}
    assert "one_grant_each" in wanted
    assert wanted <= there


def make_agents(number: int) -> list[str]:
    """Make agents and return their schemas."""
    made = [
        provision.create_agent(Actor.system(), agent_id=f"behind-{n}", name="Behind", framework="langchain")
        for n in range(number)
    ]
    return [agent.schema_name for agent in made]


@pytest.mark.django_db
def test_demo_data_is_added_once(tmp_path: Path, called: list[str]) -> None:
    get_tenant_model().objects.all().delete()
    assert first_start.add_demo(tmp_path, wanted=True) is True
    assert first_start.add_demo(tmp_path, wanted=True) is False
    assert called == ["demo"]


@pytest.mark.django_db
def test_demo_data_is_never_added_to_a_studio_that_has_agents(tmp_path: Path, called: list[str]) -> None:
    make_agents(1)
    assert first_start.add_demo(tmp_path, wanted=True) is False
    assert called == []


@pytest.mark.django_db
def test_a_first_start_without_demo_data_stays_without(tmp_path: Path, called: list[str]) -> None:
    get_tenant_model().objects.all().delete()
    assert first_start.add_demo(tmp_path, wanted=False) is False
    assert first_start.add_demo(tmp_path, wanted=True) is False
    assert called == []


@pytest.mark.django_db
def test_demo_data_that_was_cut_off_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get_tenant_model().objects.all().delete()

    def cut_off(name: str, **options: Any) -> None:
        make_agents(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(first_start, "call_command", cut_off)
    with pytest.raises(KeyboardInterrupt):
        first_start.add_demo(tmp_path, wanted=True)
    monkeypatch.setattr(first_start, "call_command", lambda name, **options: None)
    assert first_start.add_demo(tmp_path, wanted=True) is True


def test_static_files_are_collected_when_one_changed(
    tmp_path: Path, called: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "style.css"
    source.write_text("a {}")
    monkeypatch.setattr(first_start, "_source_files", lambda: [source])
    settings.STATIC_ROOT = tmp_path / "static"
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "staticfiles.json").touch()
    assert [first_start.collect_static(tmp_path) for _ in range(2)] == [True, False]
    os.utime(source, (1, 1))
    assert first_start.collect_static(tmp_path) is True
    (tmp_path / "static" / "staticfiles.json").unlink()
    assert first_start.collect_static(tmp_path) is True
    assert called == ["collectstatic"] * 3


def test_upkeep_goes_on_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    rounds = 0
    stopping = Event()

    def run() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            stopping.set()
        raise RuntimeError("two\nlines")

    with caplog.at_level(logging.WARNING):
        upkeep._rounds(stopping, run, 0.01)
    assert rounds == 3
    assert [record.getMessage() for record in caplog.records] == ["Upkeep failed: two lines"] * 3
