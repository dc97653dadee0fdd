"""Deletions, noted in a file beside the head of the audit log: a backup that is restored must not bring anything back.

A line is one deletion: its event, the agent's schema, and the threads as the schema's own tombstones hold them, which
is a keyed hash of an id and two times. Each line has the hash of the one before.
"""

import fcntl
import json
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.db import OperationalError, connection, transaction

from studio.audit.record import NotWritten
from studio.clerk import SECONDS, Clerk, lock
from studio.models import Agent, AuditEvent
from studio.postgres.kept_files import StartFailure, make_dir, tighten

# for 10,000 threads on a slow disk
PATIENCE: Final = 10
BATCH: Final = 5000
clerk = Clerk()
# hash of the thread's id, second of its deletion, microsecond of its creation
Grave = tuple[str, int, int | None]
_END: Final = ', "hash": "{}"}}\n'
_TAIL: Final = len(_END.format("0" * 64))
_IN_LOG: Final = """
    select noted.id, noted.hash from public.studio_auditevent e
    join unnest(%s::bigint[], %s::text[]) as noted (id, hash) on noted.id = e.id and noted.hash = encode(e.hash, 'hex')
"""


# what this process could not note yet; the clerk's thread alone uses it
_unnoted: Final[deque[dict[str, Any]]] = deque()
# by file: up to its last line that the database was seen to know, in bytes
_known: Final[dict[Path, int]] = {}


class NotNoted(OperationalError):
    """A deletion is done, and could not be noted in the file. The answer is 503.

    It is noted before this process deletes anything else, and by the next start.
    """


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file and its number; `faulty` if it is not as it was written, or not after the one before."""

    number: int
    values: dict[str, Any]
    faulty: bool = False

    @property
    def event(self) -> tuple[int, str]:
        return self.values["event"], self.values["event_hash"]


def path() -> Path:
    return Path(settings.AUDIT_HEAD_FILE).with_name("tombstones")


def ready() -> None:
    """Raise NotWritten if a deletion could not be noted now: then it may not happen."""
    try:
        clerk.do(_try)
    except (OSError, StartFailure) as error:
        raise NotWritten(f"{path()} cannot be written") from error


def note(event: AuditEvent, agent: Agent, graves: list[Grave]) -> None:
    """Note deleted threads as soon as the transaction has committed, before anybody is told of it."""
    _after_commit(event, {"schema": agent.schema_name, "threads": graves})


def note_removal(event: AuditEvent, agent: Agent) -> None:
    """Note an agent that is removed."""
    _after_commit(event, {"schema": agent.schema_name, "agent": agent.pk, "created_at": agent.created_at.isoformat()})


def append(values: dict[str, Any]) -> None:
    """Write a line; it is on the disk when this returns."""
    with _opened() as file:
        lock(file.fileno(), fcntl.LOCK_EX, SECONDS)
        _cut_torn(file)
        text = json.dumps({**values, "prev": _last_hash(file)})
        line = text[:-1] + _END.format(_hash_of(text))
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def lines(where: Path | None = None) -> Iterator[Line]:
    """Read the file; a line that nobody can read is empty and faulty."""
    before = ""
    try:
        file = (where or path()).open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, 1):
            text, given = line[:-_TAIL].decode(errors="replace") + "}", line[-67:-3].decode(errors="replace")
            try:
                values = json.loads(text)
                faulty = _hash_of(text) != given or values["prev"] != before
                yield Line(number, values, faulty)
            except (ValueError, KeyError, TypeError):
                yield Line(number, {}, faulty=True)
            before = given


def lost(where: Path | None = None) -> set[int]:
    """Return the numbers of lines whose event this database does not have, as it is older than they are."""
    missing: set[int] = set()
    batch: list[Line] = []
    for line in lines(where):
        if not line.values:
            continue
        # only what is compared: a line may hold thousands of threads
        kept = {name: line.values[name] for name in ("event", "event_hash", "replayed") if name in line.values}
        batch.append(Line(line.number, kept))
        if len(batch) == BATCH:
            missing, batch = _without_done(missing, batch), []
    return _without_done(missing, batch)


def is_older() -> bool:
    """Tell whether the database lacks a deletion of the file; only lines since the last one that it had are read."""
    where = path()
    events: list[tuple[int, str]] = []
    with _opened() as file:
        size = file.seek(0, os.SEEK_END)
        start = _known.get(where, 0)
        # another file may have taken its place
        last = end = file.seek(start if start < size else 0)
        for line in file:
            last, end = end, end + len(line)
            with suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                events.append((values["event"], values["event_hash"]))
    if set(events) - _in_log(events) and lost():
        return True
    _known[where] = last
    return False


def _without_done(missing: set[int], batch: list[Line]) -> set[int]:
    there = _in_log([line.event for line in batch])
    missing = missing | {line.number for line in batch if line.event not in there}
    # what was replayed into this database is done
    done = max(
        (line.values["replayed"] for line in batch if "replayed" in line.values and line.event in there), default=0
    )
    return {number for number in missing if number > done}


def _in_log(events: list[tuple[int, str]]) -> set[tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(_IN_LOG, [[id for id, _ in events], [hash for _, hash in events]])
        return set(cursor.fetchall())


def _after_commit(event: AuditEvent, values: dict[str, Any]) -> None:
    values = {"event": event.pk, "event_hash": bytes(event.hash).hex(), **values}
    transaction.on_commit(partial(_append_in_time, values))


def _append_in_time(values: dict[str, Any]) -> None:
    try:
        clerk.do(partial(_append_or_keep, values), even_late=True, seconds=PATIENCE)
    except (OSError, StartFailure) as error:
        raise NotNoted(f"{path()} cannot be written") from error


def _append_or_keep(values: dict[str, Any]) -> None:
    try:
        append(values)
    except (OSError, StartFailure):
        _unnoted.append(values)
        raise


def _try() -> None:
    """Have the file as a line would, and write first what could not be noted before."""
    while _unnoted:
        append(_unnoted[0])
        _unnoted.popleft()
    with _opened() as file:
        lock(file.fileno(), fcntl.LOCK_EX, SECONDS / 2)


def _opened() -> IO[bytes]:
    make_dir(path().parent)
    handle = os.open(path(), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    tighten(handle)
    return os.fdopen(handle, "rb+")


def _cut_torn(file: IO[bytes]) -> None:
    """Cut off the part of a line that a crash left; nobody was told of that deletion."""
    size = end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(end - 65_536, 0)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        file.truncate(end)
    file.seek(0, os.SEEK_END)


def _last_hash(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    if not size:
        return ""
    file.seek(size - 67)
    last = file.read(64).decode()
    file.seek(0, os.SEEK_END)
    return last


def _hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()
