"""A file beside the database that somebody holds, or whose disk hangs, stops no request for long."""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpRequest
from django.test import Client

from memory.services.deletion import delete_threads
from studio.agents import memory_settings
from studio.api import problems
from studio.audit import head, tombstones
from studio.audit.record import NotWritten, record
from studio.clerk import Clerk
from studio.models import Agent, MemorySettings, User
from studio.postgres.kept_files import locked
from tests.world import SYSTEM, session_ids, signed_in, write_thread

Trouble = Callable[[Path], AbstractContextManager[None]]
# the issue asks for a wait of at most a second, then 503; the rest is for a busy machine
SECONDS = 4


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "AUDIT_HEAD_FILE", tmp_path / "audit-head")
    # one of its own, because it may hang for good
    monkeypatch.setattr(head, "clerk", Clerk())
    return tmp_path / "audit-head"


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Take the file's lock, as any process that can open it may."""
    file.touch()
    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield


@contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Put something in its place that answers nobody, as a network's disk does that is gone."""
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    try:
        yield
    finally:
        # whoever waits for it is let go
        for _ in range(20):
            with suppress(OSError):
                os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
            time.sleep(0.02)


@contextmanager
def hanging_disk(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let what is written into a file not come to the disk before the block ends."""
    answers, really = Event(), os.fsync

    def hang(opened: Any) -> None:
        if file.exists() and os.path.sameopenfile(opened if isinstance(opened, int) else opened.fileno(), place):
            answers.wait(30)
        really(opened)

    file.touch()
    with file.open("rb") as mine, monkeypatch.context() as patch:
        place = mine.fileno()
        patch.setattr(os, "fsync", hang)
        try:
            yield
        finally:
            answers.set()


@contextmanager
def in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("trouble", [held, hanging])
class TestAHeadThatCannotBeHad:
    def test_changes_nothing_and_says_so_in_time(self, trouble: Trouble, file: Path, admin: User, ada: Agent) -> None:
        page = signed_in(admin)
        page.raise_request_exception = False
        form = {"session_storage": "on", "num_history_runs": "7", "max_tool_calls_from_history": "0", "version": "1"}
        before = memory_settings.values_of(MemorySettings.objects.get(agent=ada))
        with trouble(file):
            for _ in range(2):
                began = time.monotonic()
                answer = page.post("/agents/agt-ada/memory/", form)
                assert time.monotonic() - began < SECONDS
                assert answer.status_code == 503
                assert answer.headers["retry-after"] == "5"
                assert b"audit log cannot be written" in answer.content
        assert memory_settings.values_of(MemorySettings.objects.get(agent=ada)) == before

    def test_leaves_pages_alone_that_log_nothing(self, trouble: Trouble, file: Path, admin: User, ada: Agent) -> None:
        page = signed_in(admin)
        with trouble(file):
            assert page.get("/agents/agt-ada/memory/").status_code == 200
            assert Client().get("/health").status_code == 200

    def test_is_had_again_afterwards(self, trouble: Trouble, file: Path, db: None) -> None:
        with trouble(file), pytest.raises(NotWritten):
            record(SYSTEM, "link.create")
        file.unlink()
        head.keep(record(SYSTEM, "link.create"))
        assert head.read() is not None

    def test_after_a_commit_ends_no_request_late(
        self, trouble: Trouble, file: Path, db: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        event = record(SYSTEM, "link.create")
        with trouble(file):
            began = time.monotonic()
            head.keep(event)
            assert time.monotonic() - began < SECONDS
        assert "was not written down" in caplog.text


def test_the_head_is_for_its_user_alone(file: Path, db: None) -> None:
    """Whoever can open a file can take its lock."""
    head.keep(record(SYSTEM, "link.create"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # an earlier release made it so
    file.chmod(0o644)
    head.keep(record(SYSTEM, "link.create"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["audit-head"]


def test_every_lock_is_for_its_user_alone_and_ends_its_wait(tmp_path: Path) -> None:
    path = tmp_path / "some.lock"
    path.touch(0o666)
    path.chmod(0o666)
    with ExitStack() as stack:
        assert stack.enter_context(locked(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        began = time.monotonic()
        with locked(path, wait=0.2) as second:
            assert not second
        assert 0.2 <= time.monotonic() - began < SECONDS


class TestTombstonesThatCannotBeHad:
    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(settings, "AUDIT_HEAD_FILE", tmp_path / "audit-head")
        monkeypatch.setattr(tombstones, "clerk", Clerk())
        return tmp_path / "tombstones"

    @pytest.mark.parametrize("trouble", [held, hanging])
    def test_delete_nothing_and_say_so_in_time(self, trouble: Trouble, place: Path, ada: Agent, db: None) -> None:
        write_thread(ada, "s-1")
        began = time.monotonic()
        with trouble(place), pytest.raises(NotWritten):
            delete_threads(SYSTEM, ada, ["s-1"])
        assert time.monotonic() - began < SECONDS
        assert session_ids(ada) == {"s-1"}

    def test_a_disk_that_hangs_stops_a_deletion_before_it_begins(
        self, place: Path, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_thread(ada, "s-1")
        with hanging_disk(place, monkeypatch), in_time(), pytest.raises(NotWritten):
            delete_threads(SYSTEM, ada, ["s-1"])
        assert session_ids(ada) == {"s-1"}

    def test_a_disk_that_hangs_meanwhile_holds_nobody_and_gets_the_line_later(
        self, place: Path, db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = record(SYSTEM, "link.create")
        values = {"event": event.pk, "event_hash": bytes(event.hash).hex(), "schema": "ag_x", "threads": []}
        tombstones.ready()
        with hanging_disk(place, monkeypatch):
            with in_time(), pytest.raises(tombstones.NotNoted):
                tombstones._append_in_time(values)
            # who comes next waits no longer, although the first one's work still hangs
            with in_time(), pytest.raises(NotWritten):
                tombstones.ready()
        tombstones.ready()
        assert [line.event for line in tombstones.lines()] == [(event.pk, values["event_hash"])]

    def test_what_could_not_be_noted_is_noted_before_the_next(self, place: Path, db: None) -> None:
        event = record(SYSTEM, "link.create")
        values = {"event": event.pk, "event_hash": bytes(event.hash).hex(), "schema": "ag_x", "threads": []}
        with held(place), pytest.raises(tombstones.NotNoted):
            tombstones._append_in_time(values)
        assert list(tombstones.lines()) == []
        tombstones.ready()
        assert [line.event for line in tombstones.lines()] == [(event.pk, values["event_hash"])]

    def test_a_line_is_on_the_disk_before_anybody_is_told(
        self, place: Path, db: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = record(SYSTEM, "link.create")
        values = {"event": event.pk, "event_hash": bytes(event.hash).hex(), "schema": "ag_x", "threads": []}
        synced, really = list[bytes](), os.fsync

        def sync(opened: Any) -> None:
            really(opened)
            synced.append(place.read_bytes())

        monkeypatch.setattr(os, "fsync", sync)
        tombstones.append(values)
        assert synced == [place.read_bytes()]
        assert next(tombstones.lines()).event == (event.pk, values["event_hash"])

    def test_the_api_says_that_it_is_gone(self) -> None:
        answer = problems.of_exception(HttpRequest(), tombstones.NotNoted("x"))
        assert answer.status_code == 503
        assert b"What you deleted is gone" in answer.content

    def test_a_line_of_before_counts_though_the_last_one_is_known(self, place: Path, db: None) -> None:
        known = record(SYSTEM, "link.create")
        line = {"event": known.pk, "event_hash": bytes(known.hash).hex(), "schema": "ag_x", "threads": []}
        tombstones.append(line)
        assert not tombstones.is_older()
        tombstones.append({**line, "event_hash": "0" * 64})
        tombstones.append(line)
        assert tombstones.is_older()
        tombstones.append({**line, "replayed": 3})
        assert not tombstones.is_older()
        # only what follows is read
        tombstones.append({**line, "event_hash": "1" * 64})
        assert tombstones.is_older()
