"""The head of the audit log (id and hash of its newest event), kept in a file outside the database.

If somebody removes events from the end of the log, the file still shows that they were there.
"""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from django.conf import settings
from django.db import connection

from studio import running
from studio.models import AuditEvent
from studio.postgres.kept_files import StartFailure, locked, replace

log = logging.getLogger("studio")
# bytes of the file: each head is as long as the one that it overwrites
_SIZE: Final = 120


class Unreadable(Exception):
    """The file exists and does not hold a head."""


@dataclass(frozen=True, slots=True)
class Head:
    """The id and the hash (hex) of an event."""

    id: int
    hash: str


def path() -> Path:
    return Path(settings.AUDIT_HEAD_FILE)


def read() -> Head | None:
    """Return the head in the file, None if there is none. Raises Unreadable."""
    try:
        with path().open("rb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return _read(file)
    except FileNotFoundError:
        return None


def keep(event: AuditEvent) -> None:
    """Write an event into the file after its commit. Errors are logged only, because the change is committed."""
    try:
        with _alone() as file:
            old = _read(file)
            # commits arrive here in any order
            if old and old.id >= event.pk:
                return
            # the old head stays, because it is the evidence that the log was changed
            if old and not _fits(old, event):
                check = running.command("audit verify")
                log.error("the audit log does not hold event %s as it was; run: %s", old.id, check)
                return
            # In place, and in one piece: a new file with this name would take ten times as long.
            file.seek(0)
            file.write(_text(Head(event.pk, bytes(event.hash).hex())).encode())
    except (OSError, Unreadable, StartFailure) as error:
        log.error("the head of the audit log was not written down: %s", error)  # noqa: TRY400


def _read(file: IO[bytes]) -> Head | None:
    try:
        kept = json.loads(file.read())
        head = Head(int(kept["id"]), str(kept["hash"]))
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"{path()} holds no head") from error
    # a new file begins with 0
    return head if head.id else None


def _text(head: Head) -> str:
    return json.dumps({"id": head.id, "hash": head.hash}).ljust(_SIZE - 1) + "\n"


def _fits(old: Head, event: AuditEvent) -> bool:
    """Tell whether the log still holds the event of the old head."""
    # the event that follows it holds its hash, which saves a query
    if old.id == event.pk - 1:
        return old.hash == bytes(event.prev_hash).hex()
    with connection.cursor() as cursor:
        cursor.execute("select encode(hash, 'hex') from public.studio_auditevent where id = %s", [old.id])
        row = cursor.fetchone()
    return row is not None and row[0] == old.hash


@contextmanager
def _alone() -> Iterator[IO[bytes]]:
    """Open the file with a lock that only one thread of all processes can have."""
    if not path().exists():
        with locked(path().with_name(path().name + ".lock"), wait=True):
            # another thread may have been first; an empty file would be taken for one that somebody emptied
            if not path().exists():
                replace(path(), _text(Head(0, "")), mode=0o644)
    # opened anew each time: a lock belongs to an open file, and threads would share a common one
    with path().open("rb+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
