"""The audit log: its chain, its head, and that both are verified."""

import json
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from studio.audit import head, verify
from studio.audit import record as audit
from studio.models import AuditEvent
from tests.rounds import rounds
from tests.world import SYSTEM, sql


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
        monkeypatch.setattr(head, "_is_in_log", lambda old: True)
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

    def test_whoever_reads_it_meanwhile_sees_a_whole_one(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        events = [self.made() for _ in range(200)]
        monkeypatch.setattr(head, "_is_in_log", lambda old: True)
        seen: list[int] = []
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                kept = head.read()
                seen.append(kept.id if kept else 0)

        reader = threading.Thread(target=look)
        reader.start()
        for event in events:
            head.keep(event)
        over.set()
        reader.join()
        assert seen == sorted(seen)

    def test_what_an_earlier_release_wrote_is_overwritten_whole(self, db: None, file: Path) -> None:
        first, second = self.made(), self.made()
        file.parent.mkdir()
        file.write_text(json.dumps({"id": first.pk, "hash": bytes(first.hash).hex()}) + "\n")
        head.keep(second)
        assert json.loads(file.read_text()) == {"id": second.pk, "hash": bytes(second.hash).hex()}

    @pytest.mark.parametrize("left", ["", "{}", '{"id": 1, "hash": "ab"}garbage'])
    def test_a_file_that_holds_none_is_left_as_it_is(
        self, db: None, file: Path, caplog: pytest.LogCaptureFixture, left: str
    ) -> None:
        """Somebody emptied it, or wrote something else: nothing that the studio does may hide that."""
        file.parent.mkdir()
        file.write_text(left)
        head.keep(self.made())
        assert file.read_text() == left
        assert "holds no head" in caplog.text

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
