"""What `manage.py check` says of a database that the studio did not set up, and what still works there."""

import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import environ
import psycopg
import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from psycopg.sql import SQL, Identifier, Literal

from studio import checks, postgres
from tests.server import ROOT

ATTEMPT = """
from studio.models import Agent
from studio.agents import connection, provision, database_role
from studio.audit.record import Actor
agent = provision.create_agent(Actor.system(), agent_id="agt-poor", name="Poor")
try: connection.reveal(Actor.system(), agent)
except database_role.Unavailable as error: print(error)
provision.remove_agent(Actor.system(), agent)
print(Agent.objects.count())
"""


@dataclass
class Place:
    """A database whose owner has no rights beyond it, in a profile of its own."""

    name: str
    env: dict[str, str]

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    superuser = os.environ["TEST_SUPERUSER_URL"]
    name = f"poor_{secrets.token_hex(4)}"
    place = environ.Env.db_url_config(os.environ["DATABASE_URL"])
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(SQL("create role {} login password {}").format(Identifier(name), Literal(name)))
        admin.execute(SQL("create database {0} owner {0}").format(Identifier(name)))
    url = f"postgresql://{name}:{name}@{place['HOST']}:{place['PORT']}/{name}"
    data_dir = tmp_path_factory.mktemp("poor")
    env = {**os.environ, "DATABASE_URL": url, "DATA_DIR": str(data_dir), "SECRET_KEY": secrets.token_urlsafe(50)}
    made = Place(name, env)
    assert made.manage("migrate_schemas", "--shared").returncode == 0
    yield made
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(SQL("drop database {} with (force)").format(Identifier(name)))
        admin.execute(SQL("drop role {}").format(Identifier(name)))


def test_it_warns_where_the_studio_may_not_make_roles(poor: Place) -> None:
    said = poor.manage("check")
    assert said.returncode == 0
    assert "(studio.W001) The studio may not make database roles, so agents get no connection." in said.stderr
    command = f"DATA_DIR={poor.env['DATA_DIR']} .venv/bin/python manage.py grant_agents"
    assert f'ALTER ROLE "{poor.name}" CREATEROLE; then run: {command}' in said.stderr
    assert "(studio.W003) Agents may make temporary tables" in said.stderr
    assert "W002" not in said.stderr
    # as the tests' server was made like the bundled one
    assert "W010" not in said.stderr


def test_agents_are_made_and_removed_there_all_the_same(poor: Place) -> None:
    said = poor.manage("shell", "--no-imports", "--command", ATTEMPT)
    assert said.stdout.splitlines() == [
        "The studio's database user may not make roles. As a superuser run: "
        f'ALTER ROLE "{poor.name}" CREATEROLE; and then: .venv/bin/python manage.py grant_agents',
        "0",
    ]


def test_granting_says_what_it_lacks(poor: Place) -> None:
    said = poor.manage("grant_agents")
    assert said.returncode == 1
    assert "may not make roles. Grant it CREATEROLE and run this again." in said.stderr


@pytest.mark.parametrize(
    ("facts", "numbers"),
    [
        ((False, True, False, False, True), []),
        ((True, True, False, False, True), ["W002"]),
        ((False, False, True, True, False), ["W001", "W003", "W004", "W005"]),
    ],
)
def test_each_wrong_is_one_warning(facts: tuple[bool, ...], numbers: list[str]) -> None:
    found = checks._judge("studio", "studio", *facts)
    assert [message.id for message in found] == [f"studio.{number}" for number in numbers]
    assert all(message.hint for message in found)


def test_the_facts_are_asked_of_the_database(db: None) -> None:
    # the tests' database is as Postgres makes it: every role may make temporary tables
    assert [message.id for message in checks.database_rights(None)] == ["studio.W003"]


def test_it_is_silent_while_the_database_is_away(db: None) -> None:
    with mock.patch.object(connection, "cursor", side_effect=OperationalError("away")):
        assert checks.database_rights(None) == []


def test_it_does_not_ask_the_bundled_postgres(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    host = postgres.dsn_parts(tmp_path)["host"]
    with (
        mock.patch.object(connection, "settings_dict", {**connection.settings_dict, "HOST": host}),
        mock.patch.object(connection, "cursor", side_effect=AssertionError),
    ):
        assert checks.database_rights(None) == []


def test_it_warns_of_a_name_that_the_sdk_would_break(settings: LazySettings) -> None:
    assert checks.database_host(None) == []
    settings.PUBLIC_DATABASE_HOST = "my-postgresql.internal"
    assert [message.id for message in checks.database_host(None)] == ["studio.W006"]


def test_it_warns_where_agents_may_take_locks_that_all_share_and_prints_the_cure(db: None) -> None:
    assert checks.locks_of_everybody(None) == []
    with psycopg.connect(os.environ["TEST_SUPERUSER_URL"]) as superuser:
        superuser.execute("grant execute on function pg_advisory_lock(bigint) to public")
        with mock.patch.object(connection, "cursor", superuser.cursor):
            (warning,) = checks.locks_of_everybody(None)
            assert warning.id == "studio.W010"
            command = str(warning.hint).partition("run what this prints: ")[2]
            python, option, code = shlex.split(command)
            assert python == ".venv/bin/python"
            printed = subprocess.check_output([sys.executable, option, code], cwd=ROOT, text=True)
            superuser.execute(printed)
            assert checks.locks_of_everybody(None) == []
        superuser.rollback()


def test_it_is_silent_of_locks_while_the_database_is_away(db: None) -> None:
    with mock.patch.object(connection, "cursor", side_effect=OperationalError("away")):
        assert checks.locks_of_everybody(None) == []


@pytest.mark.parametrize(
    ("statement", "transaction", "is_said"),
    [("60s", 120, False), ("60s", 60, False), ("60s", 59, True), ("5min", 120, True), ("0", 120, True)],
)
def test_it_says_which_limit_comes_first(
    settings: LazySettings, statement: str, transaction: int, is_said: bool
) -> None:
    settings.AGENT_STATEMENT_TIMEOUT, settings.AGENT_TRANSACTION_SECONDS = statement, transaction
    assert bool(checks.limits_of_agents(None)) == is_said
