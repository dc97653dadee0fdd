"""The audit log: nothing happens without it."""

from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from studio.agents import memory_settings
from studio.audit import record as audit
from studio.keys import service as keys
from studio.models import Agent, Grant, MemorySettings, User
from tests.world import SYSTEM, person, signed_in, sql, write_thread

BREAK = {
    "the right to insert is revoked": "revoke insert on studio_auditevent from current_user",
    "a trigger fails": (
        "create or replace function studio_audit_chain() returns trigger language plpgsql as"
        " $$ begin raise exception 'boom'; end $$"
    ),
    "a trigger divides by zero": (
        "create or replace function studio_audit_chain() returns trigger language plpgsql as"
        " $$ begin perform 1 / 0; return new; end $$"
    ),
    "the table is renamed": "alter table studio_auditevent rename to elsewhere",
    "a column is gone": "alter table studio_auditevent drop column reason",
    "a check refuses": "alter table studio_auditevent add check (actor = '') not valid",
}


@pytest.mark.parametrize("statement", BREAK.values(), ids=BREAK.keys())
class TestNothingHappensWithoutIt:
    """Each way in which the row cannot be written, tried on each kind of change."""

    @pytest.fixture
    def page(self, admin: User) -> Client:
        """An admin's browser, which gets the answer that Django makes of an exception."""
        client = signed_in(admin)
        client.raise_request_exception = False
        return client

    def refused(self, answer: Any) -> None:
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert b"audit log cannot be written" in answer.content

    def test_settings_are_not_saved(self, page: Client, ada: Agent, statement: str) -> None:
        form = {"session_storage": "on", "num_history_runs": "7", "max_tool_calls_from_history": "0", "version": "1"}
        before = memory_settings.values_of(MemorySettings.objects.get(agent=ada))
        sql(statement)
        answer = page.post("/agents/agt-ada/memory/", form)
        self.refused(answer)
        assert memory_settings.values_of(MemorySettings.objects.get(agent=ada)) == before
        assert ada.memory_versions.count() == 1

    def test_threads_are_not_deleted(self, page: Client, ada: Agent, statement: str) -> None:
        write_thread(ada, "s-1")
        sql(statement)
        self.refused(page.post("/agents/agt-ada/delete-threads/now/", {"id": "s-1", "expect": "1", "confirm": "1"}))
        assert sql("select count(*) from ag_agt_ada.agno_sessions") == [(1,)]
        assert sql("select count(*) from ag_agt_ada.memory_thread") == [(1,)]

    @pytest.mark.parametrize("part", ["", "export/"])
    def test_transcripts_are_not_shown(self, page: Client, ada: Agent, statement: str, part: str) -> None:
        write_thread(ada, "s-1", [{"run_id": "r", "content": "a secret answer"}])
        sql(statement)
        answer = page.get(f"/agents/agt-ada/threads/s-1/{part}")
        self.refused(answer)
        assert b"a secret answer" not in answer.content

    def test_the_connection_is_not_revealed(self, page: Client, ada: Agent, statement: str) -> None:
        sql(statement)
        answer = page.post("/agents/agt-ada/connection/")
        self.refused(answer)
        assert b"postgresql://" not in answer.content

    def test_roles_are_not_changed(self, page: Client, statement: str) -> None:
        user = person("viewer")
        sql(statement)
        self.refused(page.post(f"/people/{user.pk}/roles/add/", {"role": "admin", "agent": ""}))
        assert not Grant.objects.filter(user=user, role="admin").exists()

    def test_an_agent_is_not_removed(self, page: Client, ada: Agent, statement: str) -> None:
        sql(statement)
        self.refused(page.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"}))
        assert Agent.objects.filter(pk="agt-ada").exists()
        assert sql("select count(*) from pg_namespace where nspname = 'ag_agt_ada'") == [(1,)]

    def test_an_agent_is_not_made(self, page: Client, statement: str) -> None:
        sql(statement)
        self.refused(
            page.post("/agents/new/", {"name": "New", "agent_id": "agt-n", "framework": "agno", "status": "ACTIVE"})
        )
        assert not Agent.objects.filter(pk="agt-n").exists()
        assert sql("select count(*) from pg_namespace where nspname = 'ag_agt_n'") == [(0,)]

    def test_nobody_signs_in_or_out(self, page: Client, admin: User, statement: str) -> None:
        sql(statement)
        client = Client(raise_request_exception=False)
        self.refused(client.post("/sign-in/", {"login": admin.email, "password": "correct horse battery"}))
        assert client.get("/agents/").status_code == 302
        self.refused(page.post("/sign-out/"))
        assert page.get("/agents/").status_code == 200

    def test_a_key_is_not_made(self, page: Client, statement: str) -> None:
        sql(statement)
        self.refused(page.post("/keys/new/", {"name": "n", "scopes": ["admin"], "reach": "all", "days": "30"}))

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("delete", "agents/agt-ada/threads/s-1"),
            ("get", "agents/agt-ada/threads/s-1/runs"),
            ("get", "agents/agt-ada/db"),
        ],
    )
    def test_a_key_changes_and_reads_nothing(self, ada: Agent, statement: str, method: str, path: str) -> None:
        _, key = keys.create(SYSTEM, name="k", scopes=["admin"])
        write_thread(ada, "s-1")
        sql(statement)
        with transaction.atomic():
            answer = getattr(Client(raise_request_exception=False), method)(f"/api/{path}", headers={"x-api-key": key})
            transaction.set_rollback(True)
        assert answer.status_code == 503
        assert answer.json()["error"] == "unavailable"
        assert "audit log" in answer.json()["detail"]
        assert sql("select count(*) from ag_agt_ada.agno_sessions") == [(1,)]


class TestNothingHappensWhileTheLogIsHeld:
    def test_somebody_who_holds_its_lock_too_long(self, page: Client, ada: Agent) -> None:
        """The wait ends by lock_timeout; the change is undone and the answer says to try again."""
        form = {"session_storage": "on", "num_history_runs": "7", "max_tool_calls_from_history": "0", "version": "1"}
        place = connection.settings_dict
        dsn = psycopg.conninfo.make_conninfo(
            host=place["HOST"], port=place["PORT"], user=place["USER"], password=place["PASSWORD"], dbname=place["NAME"]
        )
        page.raise_request_exception = False
        with psycopg.connect(dsn) as other:
            other.execute("select from studio_turn where name = 'audit' for update")
            sql("set local lock_timeout = '200ms'")
            answer = page.post("/agents/agt-ada/memory/", form)
        assert answer.status_code == 503
        assert MemorySettings.objects.get(agent=ada).num_history_runs == 10

    def test_a_lost_connection(self, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        def lost() -> None:
            raise DatabaseError("server closed the connection unexpectedly")

        monkeypatch.setattr("studio.audit.record.connection", type("Lost", (), {"cursor": staticmethod(lost)}))
        with pytest.raises(audit.NotWritten):
            audit.record(SYSTEM, "link.create")

    def test_text_that_postgres_cannot_hold_is_not_the_logs_fault(self, db: None) -> None:
        with pytest.raises(DatabaseError) as caught, transaction.atomic():
            audit.record(SYSTEM, "link.create", object="\x00")
        assert not isinstance(caught.value, audit.NotWritten)
