"""Passwords of database roles: asked for everywhere, stored as verifiers, and in no log."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from studio import postgres
from studio.postgres.scram import scram_verifier
from tests.safety.faults import Breakable, breakable
from tests.studio.serve.running import passable

ROTATE = """
from studio.models import Agent
from studio.agents import database_role
from studio.audit.record import Actor
database_role.rotate(Actor.system(), Agent.objects.get(pk="guarded"))
"""


def test_a_role_made_with_a_verifier_logs_in_with_its_password_only() -> None:
    """The server checks it, over TCP where scram is asked for as on the socket."""
    password = "p@ss \"word\" '1' $%/"
    superuser = psycopg.conninfo.conninfo_to_dict(os.environ["TEST_SUPERUSER_URL"])
    with psycopg.connect(os.environ["TEST_SUPERUSER_URL"], autocommit=True) as connection:
        row = connection.execute("show port").fetchone()
        assert row is not None
        name = Identifier("scram_test")
        connection.execute(SQL("create role {} login password {}").format(name, Literal(scram_verifier(password))))
        connection.execute(SQL("grant connect on database studio to {}").format(name))
        try:
            for host, port in (("127.0.0.1", row[0]), (superuser["host"], superuser["port"])):
                where = {"host": host, "port": port, "user": "scram_test", "dbname": "studio"}
                with psycopg.connect(**where, password=password) as client:
                    assert client.execute("select current_user").fetchone() == ("scram_test",)
                with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                    psycopg.connect(**where, password=password + " ")
        finally:
            connection.execute(SQL("drop owned by {0}").format(name))
            connection.execute("revoke connect on database studio from scram_test")
            connection.execute("drop role scram_test")


def test_two_verifiers_of_one_password_differ() -> None:
    assert scram_verifier("same") != scram_verifier("same")


def test_it_refuses_a_password_that_would_need_preparation() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        scram_verifier("pässword")


def superuser(thing: Breakable) -> psycopg.Connection:
    return psycopg.connect(postgres.url(postgres.superuser_parts(thing.data_dir)), autocommit=True)


def dsn(thing: Breakable) -> str:
    return str(thing.api("GET", "agents/guarded/db").json()["connection_uri"]["uri"])


@pytest.fixture(scope="module")
def bundled() -> Iterator[Breakable]:
    """A studio of its own, whose Postgres logs every statement."""
    with passable() as place, breakable(place / "var") as thing:
        with superuser(thing) as connection:
            connection.execute("alter database studio set log_statement = 'all'")
        yield thing


@pytest.fixture(scope="module")
def passwords(bundled: Breakable) -> list[str]:
    """Of an agent that is made, handed out, given a new password and handed out again."""
    bundled.create_agent("guarded")
    first = dsn(bundled)
    bundled.manage("shell", "--no-imports", "--command", ROTATE)
    return [urlsplit(one).password or "" for one in (first, dsn(bundled))]


class TestTheBundledServer:
    def test_a_log_of_every_statement_has_verifiers_and_no_password(
        self, bundled: Breakable, passwords: list[str]
    ) -> None:
        logs = (postgres.locate(bundled.data_dir) / "log").iterdir()
        text = "\n".join(path.read_text(errors="replace") for path in logs)
        assert len(set(passwords)) == 2
        assert text.count("SCRAM-SHA-256$") >= 2
        assert [password for password in passwords if password in text] == []

    def test_every_role_that_may_log_in_has_a_verifier(self, bundled: Breakable, passwords: list[str]) -> None:
        with superuser(bundled) as connection:
            roles = connection.execute("select rolname, rolpassword from pg_authid where rolcanlogin").fetchall()
        assert {"studio", "postgres", "ag_guarded"} <= {name for name, _ in roles}
        assert all((password or "").startswith("SCRAM-SHA-256$") for _, password in roles)

    def test_no_rule_trusts_anybody(self, bundled: Breakable) -> None:
        with superuser(bundled) as connection:
            methods = {one for (one,) in connection.execute("select auth_method from pg_hba_file_rules")}
        assert methods <= {"scram-sha-256", "reject"}

    @pytest.mark.parametrize("user", ["studio", "postgres", "ag_guarded", "nobody"])
    @pytest.mark.parametrize("password", ["", "x", "studio", "postgres"])
    def test_nobody_is_let_in_without_it(
        self, bundled: Breakable, passwords: list[str], user: str, password: str
    ) -> None:
        parts = postgres.dsn_parts(bundled.data_dir)
        for host, port in ((parts["host"], parts["port"]), ("127.0.0.1", postgres.tcp_port(bundled.data_dir))):
            with pytest.raises(psycopg.OperationalError, match=r"password|pg_hba|rejects"):
                psycopg.connect(host=host, port=port, user=user, dbname="studio", password=password)
