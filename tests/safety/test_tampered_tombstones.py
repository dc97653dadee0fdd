"""The file of deletions, changed, torn or taken away: it is said in words, and what is whole still counts."""

import json
import logging
import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from memory.services import replay
from memory.services.deletion import delete_threads
from studio.audit import tombstone_lines, tombstones, verify
from studio.audit.record import NotWritten, record
from studio.clerk import Clerk
from studio.models import Agent
from studio.postgres.kept_files import StartFailure
from tests.world import SYSTEM, session_ids, write_thread

# what stands in place of a line, with the right hash
HASH = "0" * 64
GOOD: dict[str, Any] = {"event": 9_999_999, "event_hash": HASH, "prev": "", "schema": "ag_agt_ada", "threads": []}
VALUES: list[Any] = [
    *(None, True, 1, 1.5, "text", [], [1], {}),
    *({**GOOD, "event": odd} for odd in ([1], {"a": 1}, None, "1", True, 1.5, 2**63, 10**400, -(2**64))),
    *({**GOOD, "event_hash": odd} for odd in ([HASH], None, 1, "", "\ud800", "\x00" * 64)),
    *({**GOOD, "threads": odd} for odd in (1, "x", [1], [["ab"]], [["xyz", 1, None]], [["ab", 2**63, 1]], [None])),
    *({**GOOD, "schema": odd} for odd in ([1], 1, "", "a\x00b", "\udc00")),
    {name: value for name, value in GOOD.items() if name != "schema"},
    {**GOOD, "agent": "agt-ada"},
    {**GOOD, "agent": "agt-ada", "created_at": "yesterday"},
    {**GOOD, "replayed": "1"},
]
TEXTS: list[bytes] = [
    b"\n",
    b"x\n",
    b"\xff\xfe\n",
    b"\x00" * 300 + b"\n",
    b"[" * 200_000 + b"]" * 200_000 + b"\n",
    b'{"event": ' * 100_000 + b"1\n",
    b'{"event": ' + b"9" * 100_000 + b"}\n",
]
ALL = [tombstone_lines.ended(json.dumps(one)) if isinstance(one, dict) else f"{one}\n".encode() for one in VALUES]
ALL += [tombstone_lines.ended(json.dumps(one)) for one in VALUES[:8] if not isinstance(one, dict)]
ALL += TEXTS


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, db: None) -> Path:
    monkeypatch.setattr(settings, "AUDIT_HEAD_FILE", tmp_path / "audit-head")
    monkeypatch.setattr(tombstones, "clerk", Clerk())
    return tmp_path / "tombstones"


def note(ids: int = 0) -> dict[str, Any]:
    """A deletion that the database knows."""
    event = record(SYSTEM, "link.create")
    return {
        "event": event.pk,
        "event_hash": bytes(event.hash).hex(),
        "schema": "ag_agt_ada",
        "threads": [(f"{number:032x}", 1, None) for number in range(ids)],
    }


def faults() -> str:
    return " ".join(one for one in verify.verify().faults if "tombstones" in one)


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize("number", range(len(ALL)), ids=lambda number: f"{number:02}")
class TestALineThatSomebodyChanged:
    def test_is_named_and_left_out(self, place: Path, number: int, caplog: pytest.LogCaptureFixture) -> None:
        tombstones.append(note(1))
        with place.open("ab") as file:
            file.write(ALL[number])
        for _ in range(2):
            assert not tombstones.is_older()
        assert caplog.text.count("lines are not as they were written") == 1
        assert f"In {place} these lines are not as they were written: 2." in faults()
        assert "Nothing has come back" in said("delete_again")

    def test_hides_no_other(self, place: Path, number: int) -> None:
        place.write_bytes(ALL[number])
        tombstones.append(note(1))
        assert [bool(line.values) for line in tombstones.lines()] == [False, True]
        tombstones.append({**note(), "event_hash": HASH})
        assert tombstones.is_older()
        assert tombstones.lost() == {3}

    def test_keeps_no_deletion_from_being_noted(self, place: Path, number: int, ada: Agent) -> None:
        place.write_bytes(ALL[number])
        write_thread(ada, "s-1")
        assert delete_threads(SYSTEM, ada, ["s-1"]).threads == 1
        tombstones.ready()


class TestALineThatIsTorn:
    def test_is_named_as_what_a_crash_leaves(self, place: Path, caplog: pytest.LogCaptureFixture) -> None:
        tombstones.append(note(1))
        with place.open("ab") as file:
            file.write(b'{"event": 99, "threads": [["ab')
        assert not tombstones.is_older()
        assert not caplog.text
        assert "has no end, as a crash leaves it" in faults()
        assert "not as they were written" not in faults()

    def test_is_cut_off_by_a_start_and_by_the_command(self, place: Path) -> None:
        tombstones.append(note(1))
        whole = place.read_bytes()
        place.write_bytes(whole + b'{"event": 99')
        replay.complete()
        assert place.read_bytes() == whole
        place.write_bytes(whole + b'{"event": 99')
        said("delete_again")
        assert (place.read_bytes(), faults()) == (whole, "")


def test_many_odd_lines_are_one_line_of_the_log(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    tombstones.append(note(1))
    with place.open("ab") as file:
        file.write(b"\n" * 1000)
    assert not tombstones.is_older()
    assert not tombstones.is_older()
    assert len(caplog.records) == 1
    assert "1000 lines are not as they were written" in caplog.text


class TestAnotherFileInItsPlace:
    """Whatever was known of the one before says nothing of it."""

    def unknown(self) -> dict[str, Any]:
        return {**note(1), "event_hash": HASH}

    @pytest.mark.parametrize("after", [0, 5])
    def test_is_read_from_its_beginning(self, place: Path, after: int) -> None:
        for _ in range(3):
            tombstones.append(note(1))
        assert not tombstones.is_older()
        place.rename(place.with_name("kept"))
        tombstones.append(self.unknown())
        for _ in range(after):
            tombstones.append(note(1))
        assert tombstones.is_older()

    def test_so_is_the_same_one_made_shorter(self, place: Path) -> None:
        for _ in range(3):
            tombstones.append(note(1))
        assert not tombstones.is_older()
        place.write_bytes(b"")
        tombstones.append(self.unknown())
        assert tombstones.is_older()


class TestWhatWasReplayed:
    def unknown(self, ids: int) -> dict[str, Any]:
        return {**note(ids), "event_hash": HASH}

    def test_is_done_up_to_the_line_that_is_named(self, place: Path) -> None:
        for ids in (1, 2, 3):
            tombstones.append(self.unknown(ids))
        tombstones.append({**note(), "replayed": 2})
        assert tombstones.lost() == {3}

    @pytest.mark.parametrize("replayed", [5, 2**62])
    def test_is_nothing_that_comes_after_it(self, place: Path, replayed: int) -> None:
        for _ in range(5):
            tombstones.append(self.unknown(1))
        tombstones.append({**note(), "replayed": replayed})
        assert not tombstones.is_older()
        # somebody took lines out
        place.write_bytes(b"".join(place.read_bytes().splitlines(keepends=True)[3:]))
        tombstones.append(self.unknown(1))
        assert tombstones.lost() == {4}
        assert tombstones.is_older()


def test_a_line_of_any_length_takes_no_memory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstone_lines, "LONGEST", 2000)
    tombstones.append(note(100))
    tombstones.append(note(1))
    assert [(line.number, line.faulty) for line in tombstones.lines()] == [(1, True), (2, True)]
    with place.open("rb") as file:
        assert max(len(line) for _, line in tombstone_lines.read(file, place.stat().st_size)) == 2000


def test_a_deletion_of_ten_thousand_threads_is_no_long_line(place: Path) -> None:
    tombstones.append(note(10_000))
    assert place.stat().st_size < tombstone_lines.LONGEST / 4
    assert [line.faulty for line in tombstones.lines()] == [False]


class TestAFileThatIsNone:
    @pytest.fixture(params=["directory", "fifo", "closed"])
    def taken(self, place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Something else in its place, or one that its user may not read."""
        if request.param == "directory":
            place.mkdir()
        elif request.param == "fifo":
            os.mkfifo(place)
        else:
            place.touch(0o000)
            really = os.open

            def refused(where: Any, *rest: Any, **more: Any) -> int:
                # root may open what nobody may
                if os.fspath(where) == str(place):
                    raise PermissionError(13, "Permission denied", str(place))
                return really(where, *rest, **more)

            monkeypatch.setattr(os, "open", refused)
        return place

    def test_verify_says_so_and_goes_on(self, taken: Path) -> None:
        assert f"{taken} cannot be read (" in faults()

    def test_the_command_says_so_in_a_sentence(self, taken: Path) -> None:
        with pytest.raises(CommandError, match=r"cannot be noted in .*tombstones \(.*\): mend that first\."):
            said("delete_again")

    def test_nothing_is_deleted(self, taken: Path, ada: Agent) -> None:
        write_thread(ada, "s-1")
        with pytest.raises(NotWritten, match="tombstones cannot be written"):
            delete_threads(SYSTEM, ada, ["s-1"])
        assert session_ids(ada) == {"s-1"}

    def test_looking_once_more_ends_nothing_else(self, taken: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING), pytest.raises((OSError, StartFailure)):
            replay.replay_if_older()
