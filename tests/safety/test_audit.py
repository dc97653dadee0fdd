"""The audit log: append-only, chained, verified, and nothing happens without it."""

import json
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.test import Client

from studio.agents import memory_settings
from studio.audit import head, verify
from studio.audit import record as audit
from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent, AuditEvent, Grant, MemorySettings, User
from tests.rounds import rounds
from tests.safety.routes import Route, routes, sample
from tests.world import message, person, run, signed_in, sql, write_thread

SYSTEM = Actor.system()


class TestWhatIsLogged:
    def test_who_where_from_and_in_which_request(self, page: Client, ada: Agent) -> None:
        form = {"confirm": "agt-ada"}
        page.post("/agents/agt-ada/remove/now/", form, headers={"x-request-id": "req-7"}, REMOTE_ADDR="192.0.2.7")
        event = AuditEvent.objects.get(action="agent.remove")
        assert (event.actor, event.ip, event.request_id) == ("Admin", "192.0.2.7", "req-7")
        assert (event.agent_id, event.object) == ("agt-ada", "Ada's agent")

    @pytest.mark.parametrize(
        ("proxies", "forwarded", "ip"),
        [
            (0, "203.0.113.9", "192.0.2.7"),
            (1, "203.0.113.9", "203.0.113.9"),
            (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
            (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
            (2, "203.0.113.9", "192.0.2.7"),
            (1, "2001:db8::1", "2001:db8::1"),
            (1, "<script>", "192.0.2.7"),
            (1, "", "192.0.2.7"),
        ],
    )
    def test_the_address_behind_trusted_proxies_only(
        self, page: Client, ada: Agent, settings: Any, proxies: int, forwarded: str, ip: str
    ) -> None:
        settings.TRUSTED_PROXIES = proxies
        page.post("/agents/agt-ada/connection/", headers={"x-forwarded-for": forwarded}, REMOTE_ADDR="192.0.2.7")
        assert AuditEvent.objects.get(action="database.reveal").ip == ip

    def test_searching_in_conversations(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s-1")
        for _ in range(3):
            page.get("/agents/agt-ada/threads/", {"q": "hello  world"})
        page.get("/agents/agt-ada/threads/", {"q": "other"})
        page.get("/agents/agt-ada/threads/")
        words = [
            data["q"] for data in AuditEvent.objects.filter(action="threads.search").values_list("data", flat=True)
        ]
        assert sorted(words) == ["hello world", "other"]

    def test_not_a_search_of_somebody_who_may_not_read(self, ada: Agent) -> None:
        signed_in(person("viewer")).get("/agents/agt-ada/threads/", {"q": "hello"})
        assert not AuditEvent.objects.filter(action="threads.search").exists()

    def test_a_search_by_a_key(self, ada: Agent) -> None:
        _, key = keys.create(SYSTEM, name="k", scopes=["agents:read", "threads:read"])
        Client().get("/api/agents/agt-ada/threads?q=hello", headers={"x-api-key": key})
        assert AuditEvent.objects.get(action="threads.search").actor_kind == "key"

    @pytest.mark.parametrize(
        ("path", "action"),
        [
            ("threads/s-1/", "thread.read"),
            ("threads/s-1/export/", "thread.export"),
        ],
    )
    def test_reading_and_downloading(self, page: Client, ada: Agent, path: str, action: str) -> None:
        write_thread(ada, "s-1")
        answer = page.get(f"/agents/agt-ada/{path}")
        assert answer.status_code == 200
        event = AuditEvent.objects.get(action=action)
        assert (event.agent_id, event.object, event.actor) == ("agt-ada", "s-1", "Admin")

    @pytest.mark.parametrize("route", [route for route in routes() if route.is_of_an_agent], ids=lambda it: it.route)
    def test_no_content_leaves_without_an_event(self, page: Client, ada: Agent, route: Route) -> None:
        """What a tool answered, and the summary, at every address that may hold them, by page and by key."""
        secret = "canary-content"
        result = message("tool", secret, tool_call_id="c-1", tool_name="look")
        write_thread(ada, "s-1", [run("s-1-1", messages=[result])], summary={"summary": secret})
        _, key = keys.create(SYSTEM, name="k", scopes=["admin"])
        headers = {"x-api-key": key} if route.route.startswith("api/") else {}
        for query in ("", "?include=runs", "?format=ndjson", "?raw=1"):
            answer = page.get(route.path(**sample()) + query, headers=headers)
            told = secret in answer.getvalue().decode()
            events = AuditEvent.objects.filter(action__in=["thread.read", "thread.export"])
            assert events.exists() or not told
            assert told or not route.route.endswith(("<any:session_id>/", "/runs", "/messages", "/export/")) or query

    def test_revealing_the_connection(self, page: Client, ada: Agent) -> None:
        page.post("/agents/agt-ada/connection/")
        assert AuditEvent.objects.get(action="database.reveal").agent_id == "agt-ada"


class TestAppendOnly:
    @pytest.fixture(autouse=True)
    def event(self, db: None) -> AuditEvent:
        return audit.record(SYSTEM, "link.create", object="a@example.com")

    @pytest.mark.parametrize(
        "statement",
        [
            "update studio_auditevent set actor = 'x'",
            "delete from studio_auditevent",
            "truncate studio_auditevent",
        ],
    )
    def test_the_studios_role_may_not_change_it(self, statement: str) -> None:
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            sql(statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "update studio_auditevent set actor = 'x'",
            "delete from studio_auditevent",
            "truncate studio_auditevent",
        ],
    )
    def test_a_trigger_refuses_whoever_may(self, statement: str) -> None:
        """Even after the owner gave itself the right."""
        sql("grant update, delete, truncate on studio_auditevent to current_user")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            sql(statement)

    def test_the_place_the_time_and_the_hash_are_the_databases(self, event: AuditEvent) -> None:
        forged = sql(
            "insert into studio_auditevent (id, at, actor_kind, actor_id, actor, ip, request_id, agent_id, action,"
            " object, data, reason, prev_hash, hash) values (1, '2000-01-01', 's', '', 'x', '', '', '', 'y', '', '{}',"
            " '', 'a', 'b') returning id, at > now() - interval '1 minute', prev_hash"
        )[0]
        assert (forged[0], forged[1], bytes(forged[2])) == (event.pk + 1, True, bytes(event.hash))
        assert verify.verify().faults == []


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


class TestTheHead:
    """What is written down beside the database after each commit."""

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(settings, "AUDIT_HEAD_FILE", tmp_path / "var" / "audit-head")
        return tmp_path / "var" / "audit-head"

    def made(self) -> AuditEvent:
        return audit.record(SYSTEM, "link.create")

    def test_it_is_the_last_event_after_the_commit(
        self, db: None, file: Path, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            self.made()
            event = self.made()
            assert not file.exists()
        assert json.loads(file.read_text()) == {"id": event.pk, "hash": bytes(event.hash).hex()}
        assert verify.verify().faults == []

    def test_it_never_goes_back(self, db: None) -> None:
        first, second = self.made(), self.made()
        head.keep(second)
        head.keep(first)
        assert head.read() == head.Head(second.pk, bytes(second.hash).hex())

    @pytest.mark.attack
    def test_many_at_once_leave_the_newest(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        events = [self.made() for _ in range(rounds(60, 2000))]
        # other threads do not see this transaction's events
        monkeypatch.setattr(head, "_fits", lambda old, event: True)
        barrier = threading.Barrier(8)

        def keep(mine: list[AuditEvent]) -> None:
            barrier.wait()
            for event in mine:
                head.keep(event)

        threads = [threading.Thread(target=keep, args=(events[number::8],)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert head.read() == head.Head(events[-1].pk, bytes(events[-1].hash).hex())

    def test_a_log_that_does_not_fit_keeps_the_old_one_as_evidence(
        self, db: None, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        event = self.made()
        file.parent.mkdir()
        file.write_text(json.dumps({"id": event.pk, "hash": "ab" * 32}))
        head.keep(self.made())
        head.keep(self.made())
        assert head.read() == head.Head(event.pk, "ab" * 32)
        assert "audit verify" in caplog.text

    def test_a_directory_that_cannot_be_written_stops_nothing(
        self, db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(settings, "AUDIT_HEAD_FILE", Path("/proc/none/audit-head"))
        head.keep(self.made())
        assert "was not written down" in caplog.text


class TestVerify:
    """What somebody who owns the database can do, and that it is found. All is undone after the test."""

    @pytest.fixture(autouse=True)
    def log(self, db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[AuditEvent]:
        monkeypatch.setattr(settings, "AUDIT_HEAD_FILE", tmp_path / "audit-head")
        events = [
            audit.record(SYSTEM, "link.create", object=f"p{n}@example.com", data={"n": n, "é": [1.50, None]})
            for n in range(12)
        ]
        head.keep(events[-1])
        return events

    def attack(self, *statements: str) -> list[str]:
        """As the owner, with triggers switched off."""
        sql("grant update, delete on studio_auditevent to current_user")
        sql("alter table studio_auditevent disable trigger user")
        for statement in statements:
            sql(statement)
        return verify.verify().faults

    def test_a_log_as_it_was_written_is_whole(self, log: list[AuditEvent]) -> None:
        report = verify.verify()
        assert (report.faults, report.last) == ([], log[-1].pk)

    @pytest.mark.parametrize(
        "change",
        ["actor = 'Eve'", "object = ''", "data = '{}'", "at = at + interval '1 microsecond'", "ip = '::1'",
         "reason = 'none'", "agent_id = 'agt-ada'", "action = 'key.create'", "actor_kind = 'key'", "actor_id = '9'",
         "request_id = 'x'", "hash = sha256('x')"],
    )  # fmt: skip
    def test_an_edit(self, log: list[AuditEvent], change: str) -> None:
        assert f"Event {log[5].pk} was changed." in self.attack(
            f"update studio_auditevent set {change} where id = {log[5].pk}"
        )

    def test_a_removal(self, log: list[AuditEvent]) -> None:
        found = self.attack(f"delete from studio_auditevent where id = {log[5].pk}")
        assert f"Event {log[5].pk} is missing." in found

    def test_a_removal_of_several_and_of_the_first(self, log: list[AuditEvent]) -> None:
        found = self.attack(f"delete from studio_auditevent where id between 1 and {log[3].pk}")
        assert f"Events 1 to {log[3].pk} are missing." in found

    def test_another_order(self, log: list[AuditEvent]) -> None:
        a, b = log[4].pk, log[5].pk
        found = self.attack(
            f"update studio_auditevent set id = -1 where id = {a}",
            f"update studio_auditevent set id = {a} where id = {b}",
            f"update studio_auditevent set id = {b} where id = -1",
        )
        assert f"Event {a} was changed." in found
        assert any(fault.startswith(f"Event {a} does not follow") for fault in found)

    def test_an_insertion(self, log: list[AuditEvent]) -> None:
        at = log[5].pk
        found = self.attack(
            f"update studio_auditevent set id = id + 1000 where id >= {at}",
            f"update studio_auditevent set id = id - 999 where id >= {at + 1000}",
            "insert into studio_auditevent (id, at, actor_kind, actor_id, actor, ip, request_id, agent_id, action,"
            f" object, data, reason, prev_hash, hash) select {at}, at, actor_kind, actor_id, 'Eve', ip, request_id,"
            f" agent_id, action, object, data, reason, hash, sha256('x') from studio_auditevent where id = {at - 1}",
        )
        assert f"Event {at} was changed." in found

    def test_an_insertion_with_a_hash_that_fits(self, log: list[AuditEvent]) -> None:
        """Somebody who knows how to hash still breaks the link to the next event, or its id."""
        at = log[5].pk
        found = self.attack(
            f"update studio_auditevent set actor = 'Eve' where id = {at}",
            f"update studio_auditevent e set hash = studio_audit_hash(prev_hash, e) where id = {at}",
        )
        assert found == [
            f"Event {at + 1} does not follow the one before it: an event was put in, or the order was changed."
        ]

    def test_a_cut_end(self, log: list[AuditEvent]) -> None:
        found = self.attack(f"delete from studio_auditevent where id > {log[8].pk}")
        assert len(found) == 1
        assert f"event {log[-1].pk} was written down" in found[0]
        assert f"the log ends at {log[8].pk}" in found[0]

    def test_a_cut_end_that_grew_again(self, log: list[AuditEvent]) -> None:
        self.attack(f"delete from studio_auditevent where id > {log[8].pk}")
        sql("alter table studio_auditevent enable trigger user")
        for _ in range(6):
            head.keep(audit.record(SYSTEM, "link.create"))
        found = verify.verify().faults
        assert len(found) == 1
        assert "the log was written anew" in found[0]

    def test_a_log_written_anew_from_an_edit_on(self, log: list[AuditEvent]) -> None:
        """All hashes fit; what was written down outside the database does not."""
        chain = [f"update studio_auditevent set actor = 'Eve' where id = {log[5].pk}"]
        for event in log[5:]:
            chain += [
                "update studio_auditevent e set prev_hash = before.hash from studio_auditevent before"
                f" where e.id = {event.pk} and before.id = e.id - 1",
                f"update studio_auditevent e set hash = studio_audit_hash(prev_hash, e) where id = {event.pk}",
            ]
        found = self.attack(*chain)
        assert len(found) == 1
        assert "the log was written anew" in found[0]

    def test_a_hash_function_that_was_replaced_hides_nothing(self, log: list[AuditEvent]) -> None:
        found = self.attack(
            "create or replace function studio_audit_hash(prev bytea, e studio_auditevent) returns bytea"
            " language sql as $$ select e.hash $$",
            f"update studio_auditevent set actor = 'Eve' where id = {log[5].pk}",
        )
        assert f"Event {log[5].pk} was changed." in found

    def test_a_head_that_cannot_be_read_is_said(self, log: list[AuditEvent]) -> None:
        head.path().write_text("")
        assert "Without it, events that were cut off" in verify.verify().faults[0]

    def test_the_command_says_so_and_fails(self, log: list[AuditEvent]) -> None:
        out = StringIO()
        call_command("audit", "verify", stdout=out)
        assert f"the last one is {log[-1].pk}" in out.getvalue()
        self.attack(f"delete from studio_auditevent where id = {log[5].pk}")
        err = StringIO()
        with pytest.raises(CommandError, match="not as it was written"):
            call_command("audit", "verify", stdout=out, stderr=err)
        assert f"Event {log[5].pk} is missing." in err.getvalue()

    def test_batches_hide_nothing(self, log: list[AuditEvent], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(verify, "BATCH", 3)
        assert verify.verify().faults == []
        assert self.attack(f"delete from studio_auditevent where id = {log[6].pk}") != []
