"""What cannot work ends with one sentence that says what to do."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from studio.postgres.scram import scram_verifier
from tests.studio.serve.people import other_user
from tests.studio.serve.running import get, refused, running

NAME = "launch_test"
PASSWORD = "only-for-this-test"


@pytest.fixture
def foreign() -> Iterator[psycopg.Connection]:
    """A superuser's connection to the tests' server, with a database and role of nobody's."""
    with psycopg.connect(os.environ["TEST_SUPERUSER_URL"], autocommit=True) as connection:
        clean(connection)
        name = Identifier(NAME)
        connection.execute(SQL("create role {} login password {}").format(name, scram_verifier(PASSWORD)))
        connection.execute(SQL("create database {}").format(name))
        yield connection
        clean(connection)


def clean(connection: psycopg.Connection) -> None:
    connection.execute(f"drop database if exists {NAME} with (force)")
    connection.execute(f"drop role if exists {NAME}")


def url(**changes: object) -> str:
    """The DSN of the test run's server with another database and role."""
    parts = psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_URL"])
    parts |= {"user": NAME, "password": PASSWORD, "dbname": NAME} | changes
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts)


def test_a_taken_port(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(place / "var", PORT=str(port))
    assert said == f"Port {port} on 127.0.0.1 is taken: stop what listens there, or set PORT to another one."
    # Found out before anything slow began.
    assert not (place / "var" / "postgres" / "data").exists()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOST": "192.0.2.7"}, "192.0.2.7 is not an address of this machine"),
        ({"HOST": "no such host"}, "Cannot listen on no such host"),
        ({"PORT": "70000"}, "There is no port 70000"),
    ],
)
def test_an_address_that_cannot_be(place: Path, variables: dict[str, str], expected: str) -> None:
    assert expected in refused(place / "var", **variables)


def test_a_public_url_that_no_browser_could_open(place: Path) -> None:
    said = refused(place / "var", PUBLIC_URL="studio.example.com")
    assert said == "PUBLIC_URL lacks http:// or https://: write it like https://studio.example.com."


def test_a_data_dir_where_nothing_can_be_made(place: Path) -> None:
    (place / "file").touch()
    said = refused(place / "file" / "var")
    assert said.startswith(f"Cannot write to {place}/file/var")
    assert said.endswith("set DATA_DIR to a directory that this user may write to.")


def test_a_data_dir_of_somebody_else(place: Path) -> None:
    (place / "var").mkdir(mode=0o555)
    with other_user() as (_, checkout):
        assert refused(place / "var", checkout).startswith(f"Cannot write to {place}/var")


def test_a_database_that_does_not_answer(place: Path) -> None:
    said = refused(place / "var", DATABASE_URL="postgresql://me:secret-word@127.0.0.1:9/studio")
    assert said.startswith("The database does not answer:")
    assert "check DATABASE_URL" in said
    assert "secret-word" not in said


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("mysql://me:secret-word@127.0.0.1/studio", "is not Postgres"),
        ("sqlite:///studio.db", "is not Postgres"),
        ("studio", "is not Postgres"),
        ("postgresql://me:secret-word@127.0.0.1:port/studio", "is not understood"),
        ("postgresql://me:secret-word@127.0.0.1", "names no database"),
    ],
)
def test_an_address_that_is_no_postgres(place: Path, wrong: str, why: str) -> None:
    said = refused(place / "var", DATABASE_URL=wrong)
    assert said.startswith(f"DATABASE_URL {why}: it looks like postgresql://")
    assert "secret-word" not in said


def test_a_database_that_takes_its_time_to_answer(place: Path) -> None:
    """Longer than a page would wait; the rest is refused at once."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        port = slow.getsockname()[1]
        threading.Timer(4, lambda: slow.accept()[0].close()).start()
        said = refused(place / "var", DATABASE_URL=url(host="127.0.0.1", port=port))
    # what it said in the end, and not that it said nothing
    assert said.startswith("The database does not answer:")
    assert "closed the connection unexpectedly" in said


def test_a_wrong_password(place: Path, foreign: psycopg.Connection) -> None:
    said = refused(place / "var", DATABASE_URL=url(password="wrong-word"))
    assert 'password authentication failed for user "launch_test"' in said
    assert "wrong-word" not in said


def test_a_database_without_the_right_to_create_schemas(place: Path, foreign: psycopg.Connection) -> None:
    said = refused(place / "var", DATABASE_URL=url())
    assert said.startswith("The role launch_test may not create schemas in the database launch_test")
    assert "grant create on database launch_test to launch_test" in said


def test_a_database_whose_public_schema_is_closed(place: Path, foreign: psycopg.Connection) -> None:
    foreign.execute(f"grant create on database {NAME} to {NAME}")
    said = refused(place / "var", DATABASE_URL=url())
    assert "grant usage, create on schema public to launch_test" in said


def test_a_database_in_another_encoding(place: Path, foreign: psycopg.Connection) -> None:
    foreign.execute(f"drop database {NAME}")
    foreign.execute(f"create database {NAME} owner {NAME} template template0 encoding 'SQL_ASCII' locale 'C'")
    assert "make one with encoding UTF8" in refused(place / "var", DATABASE_URL=url())


def test_a_database_of_ones_own_is_used_and_left_running(fresh: Path, foreign: psycopg.Connection) -> None:
    foreign.execute(f"alter database {NAME} owner to {NAME}")
    with running(fresh, DATABASE_URL=url()) as studio:
        assert get(studio.link) == 200
    assert not (fresh / "postgres").exists()
    tables = psycopg.connect(url()).execute("select count(*) from django_migrations").fetchone()
    assert tables is not None
    assert tables[0] > 0
