"""Deletions, noted in a file beside the head of the audit log: a backup that is restored must not bring anything back.

A line is one deletion: its event, the agent's schema, and the threads as the schema's own tombstones hold them, which
is a keyed hash of an id and two times. Each line has the hash of the one before.
"""

import errno
import fcntl
import json
import logging
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.db import OperationalError, connection, transaction

from studio import running
from studio.audit import tombstone_lines
from studio.audit.record import NotWritten
from studio.audit.tombstone_lines import Line
from studio.clerk import SECONDS, Clerk, TooSlow, lock
from studio.models import Agent, AuditEvent
from studio.postgres.kept_files import StartFailure, make_dir, tighten

log = logging.getLogger("studio")
# for a line that is noted after its deletion
PATIENCE: Final = SECONDS
BATCH: Final = 5000
clerk = Clerk()
# hash of the thread's id, second of its deletion, microsecond of its creation
Grave = tuple[str, int, int | None]
_IN_LOG: Final = """
    select noted.id, noted.hash from public.studio_auditevent e
    join unnest(%s::bigint[], %s::text[]) as noted (id, hash) on noted.id = e.id and noted.hash = encode(e.hash, 'hex')
"""


# what this process could not note yet; the clerk's thread alone uses it
_unnoted: Final[deque[dict[str, Any]]] = deque()
_seen: "Final[dict[Path, _Seen]]" = {}


@dataclass(slots=True)
class _Seen:
    """How far a file was looked at, in bytes: to its last line that the database knew, and to what the log named."""

    inode: int
    known: int = 0
    named: int = 0


class NotNoted(OperationalError):
    """A deletion is done, and could not be noted in the file. The answer is 503.

    It is noted before this process deletes anything else, and by the next start.
    """


def path() -> Path:
    return Path(settings.AUDIT_HEAD_FILE).with_name("tombstones")


def trouble(error: OSError) -> str:
    """Say that the file cannot be had."""
    return f"Deletions cannot be noted in {path()} ({error.strerror or error}): mend that first."


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
        tombstone_lines.cut_torn(file)
        file.write(tombstone_lines.ended(json.dumps({**values, "prev": tombstone_lines.last_hash(file)})))
        file.flush()
        os.fsync(file.fileno())


def lines(where: Path | None = None) -> Iterator[Line]:
    """Read the file as it is now; a line that nobody can read is empty and faulty."""
    before = ""
    try:
        file = _opened_to_read(where or path())
    except FileNotFoundError:
        return
    with file:
        for number, (_, line) in enumerate(tombstone_lines.read(file, _end(file)), 1):
            found, before = tombstone_lines.parse(number, line, before)
            yield found


def mend() -> None:
    """Cut off what a crash left of a line."""
    with _opened() as file:
        lock(file.fileno(), fcntl.LOCK_EX, SECONDS)
        tombstone_lines.cut_torn(file)


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
        size, inode = _end(file), os.fstat(file.fileno()).st_ino
        seen = _seen.get(where)
        if seen is None or seen.inode != inode or seen.known >= size:
            # another file may have taken its place
            seen = _seen[where] = _Seen(inode)
        last, odd = file.seek(seen.known), []
        for at, raw in tombstone_lines.read(file, size):
            line, _ = tombstone_lines.parse(0, raw, "")
            if line.values:
                last = at
                events.append(line.event)
            elif not line.torn and at >= seen.named:
                odd.append(at)
    _name(where, seen, odd)
    if set(events) - _in_log(events) and lost():
        return True
    seen.known = last
    return False


def _without_done(missing: set[int], batch: list[Line]) -> set[int]:
    there = _in_log([line.event for line in batch])
    missing = missing | {line.number for line in batch if line.event not in there}
    # what was replayed into this database is done, of the lines before
    replayed = [line for line in batch if "replayed" in line.values and line.event in there]
    done = max((min(line.values["replayed"], line.number - 1) for line in replayed), default=0)
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
        # a disk that hangs is found out before anything is deleted
        os.fsync(file)


def _name(where: Path, seen: _Seen, odd: list[int]) -> None:
    """Say once that lines are not as they were written; `odd` is where they begin."""
    if odd:
        seen.named = odd[-1] + 1
        text = "%s: %s lines are not as they were written, the first at byte %s; they are left out. Run: %s"
        log.error(text, where, len(odd), odd[0], running.command("audit verify"))


def _end(file: IO[bytes]) -> int:
    """Return how long the file is, without a line that is just being written."""
    with suppress(TooSlow):
        lock(file.fileno(), fcntl.LOCK_SH, SECONDS)
    end = os.fstat(file.fileno()).st_size
    fcntl.flock(file.fileno(), fcntl.LOCK_UN)
    return end


def _opened_to_read(where: Path) -> IO[bytes]:
    # what is no file may answer nobody
    handle = os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no file", str(where))
    return file


def _opened() -> IO[bytes]:
    make_dir(path().parent)
    handle = os.open(path(), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    tighten(handle)
    return os.fdopen(handle, "rb+")
