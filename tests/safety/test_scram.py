import os

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from studio.scram import scram_verifier


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
