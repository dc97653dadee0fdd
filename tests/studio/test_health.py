"""The three faces of health: alive, able to serve, and with room to go on."""

from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from psycopg import errors

from studio import disk
from tests.world import fails

FACES = ("/health", "/health/live", "/health/ready")
ON_DATABASE = ("/health", "/health/ready")


def _from(cause: psycopg.Error) -> Any:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError(str(cause)) from cause

    return fail


@pytest.fixture(params=[OperationalError, InterfaceError])
def _away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ensure_connection", fails(request.param("connection refused by 10.0.0.1")))


class TestThreeFaces:
    @pytest.mark.parametrize("path", FACES)
    def test_each_is_open_and_says_no_more(self, db: None, path: str) -> None:
        answer = Client().get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert "no-store" in answer.headers["cache-control"]
        assert not answer.cookies

    def test_what_was_asked_before_is_answered_as_before(self, db: None) -> None:
        assert Client().get("/health").json() == {"status": "ok", "database": "up"}

    @pytest.mark.parametrize("path", FACES)
    def test_they_are_for_reading_only(self, db: None, path: str) -> None:
        assert Client().head(path).status_code == 200
        assert Client().post(path).status_code == 405

    @pytest.mark.parametrize("path", FACES)
    def test_any_host_may_ask(self, db: None, path: str) -> None:
        assert Client(headers={"host": "10.1.2.3:8000"}).get(path).status_code == 200

    @pytest.mark.usefixtures("_away")
    def test_alive_asks_nobody(self) -> None:
        client = Client()
        client.cookies["session"] = "a" * 32
        assert (client.get("/health/live").status_code, client.get("/health").status_code) == (200, 503)

    @pytest.mark.usefixtures("_away")
    def test_what_a_server_said_is_not_repeated(self) -> None:
        assert Client().get("/health").json() == {"status": "unavailable", "database": "down"}
        ready = Client().get("/health/ready")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "5")
        assert ready.json()["why"] == "The database cannot be reached."


class TestReady:
    def test_it_writes(self, db: None) -> None:
        with connection.cursor() as cursor:
            cursor.execute("update studio_readiness set at = '2000-01-01'")
            assert Client().get("/health/ready").status_code == 200
            cursor.execute("select at > '2001-01-01' from studio_readiness")
            assert cursor.fetchone() == (True,)

    @pytest.mark.parametrize("path", ON_DATABASE)
    def test_a_database_that_can_only_be_read_is_not_enough(self, db: None, path: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("set transaction read only")
        assert Client().get(path).status_code == 503

    @pytest.mark.parametrize(
        ("cause", "said"),
        [
            (
                errors.DiskFull("could not extend file base/1: No space left on device"),
                "The disk of the database is full.",
            ),
            (errors.ReadOnlySqlTransaction("cannot execute UPDATE"), "The database is read-only."),
            (errors.OutOfMemory("out of shared memory"), "The database is out of memory, or of room for locks."),
            (errors.QueryCanceled("canceling statement"), "The database is too slow."),
            (errors.LockNotAvailable("lock timeout"), "The database is too slow."),
            (errors.InsufficientPrivilege("permission denied for ag_x"), "The studio may not write to its tables."),
            (errors.ConnectionTimeout("timeout"), "The database does not answer."),
            # a refused connection has no code
            (
                psycopg.OperationalError("FATAL: sorry, too many clients already"),
                "The database has no connection free.",
            ),
            (
                psycopg.OperationalError("FATAL: the database system is starting up"),
                "The database is starting or stopping.",
            ),
            (
                psycopg.OperationalError('host "db.internal" (10.0.0.1), user "studio"'),
                "The database cannot be reached.",
            ),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
    )
    def test_it_says_why_and_no_secret(
        self, db: None, monkeypatch: pytest.MonkeyPatch, cause: psycopg.Error, said: str
    ) -> None:
        monkeypatch.setattr("studio.health.public_cursor", _from(cause))
        assert Client().get("/health/ready").json()["why"] == said
        assert "why" not in Client().get("/health").json()

    def test_tables_that_are_missing_are_said(self, db: None) -> None:
        with connection.cursor() as cursor:
            cursor.execute("delete from studio_readiness")
        assert Client().get("/health/ready").json()["why"] == "Tables of the studio are missing."

    @pytest.mark.parametrize(("share", "status"), [(0.899, 200), (0.9, 503), (0.97, 503), (None, 200)])
    def test_a_disk_that_is_nearly_full_is_no_room_to_go_on(
        self, db: None, monkeypatch: pytest.MonkeyPatch, share: float | None, status: int
    ) -> None:
        monkeypatch.setattr(disk, "used", lambda: share)
        assert Client().get("/health/ready").status_code == status
        # it can serve all the same, and whoever makes room needs it
        assert Client().get("/health").status_code == 200
