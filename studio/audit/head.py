"""The head of the audit log (id and hash of its newest event), kept in a file outside the database.

If somebody removes events from the end of the log, the file still shows that they were there.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from studio.models import AuditEvent

log = logging.getLogger("studio")


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
    """Return the head in the file, None if there is no file. Raises Unreadable."""
    try:
        kept = json.loads(path().read_text())
        return Head(int(kept["id"]), str(kept["hash"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"{path()} holds no head") from error


def keep(event: AuditEvent) -> None:
    """Write an event into the file after its commit. Errors are logged only, because the change is committed."""
    try:
        with _alone():
            old = read()
            # commits arrive here in any order
            if old and old.id >= event.pk:
                return
            # the old head stays, because it is the evidence that the log was changed
            if old and not _fits(old, event):
                log.error("the audit log does not hold event %s as it was; run: manage.py audit verify", old.id)
                return
            _write(Head(event.pk, bytes(event.hash).hex()))
    except (OSError, Unreadable) as error:
        log.error("the head of the audit log was not written down: %s", error)  # noqa: TRY400


def _fits(old: Head, event: AuditEvent) -> bool:
    """Tell whether the log still holds the event of the old head."""
    # the event that follows it holds its hash, which saves a query
    if old.id == event.pk - 1:
        return old.hash == bytes(event.prev_hash).hex()
    with connection.cursor() as cursor:
        cursor.execute("select encode(hash, 'hex') from public.studio_auditevent where id = %s", [old.id])
        row = cursor.fetchone()
    return row is not None and row[0] == old.hash


def _write(head: Head) -> None:
    """Replace the file in one step, so that a reader sees the old head or the new one."""
    new = path().with_name(path().name + ".new")
    new.write_text(json.dumps({"id": head.id, "hash": head.hash}) + "\n")
    os.replace(new, path())


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock that only one thread of all processes can have."""
    # opened anew each time: a lock belongs to an open file, and threads would share a common one
    path().parent.mkdir(parents=True, exist_ok=True)
    with path().with_name(path().name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
