"""The head of the audit log, written down outside the database: a log that was cut short does not fit it."""

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
    """The file is there and holds no head."""


@dataclass(frozen=True, slots=True)
class Head:
    """Id and hash (hex) of the newest event when it was written down."""

    id: int
    hash: str


def path() -> Path:
    return Path(settings.AUDIT_HEAD_FILE)


def read() -> Head | None:
    """Return what was written down last, None where there is no file. Raises Unreadable."""
    try:
        kept = json.loads(path().read_text())
        return Head(int(kept["id"]), str(kept["hash"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"{path()} holds no head") from error


def keep(event: AuditEvent) -> None:
    """Write an event down after its commit, unless a later one is, or the log no longer fits what is.

    A log that does not fit keeps the old head, which is the evidence. Commits come here in any order.
    """
    try:
        with _alone():
            old = read()
            if old and old.id >= event.pk:
                return
            if old and not _fits(old, event):
                log.error("the audit log does not hold event %s as it was; run: manage.py audit verify", old.id)
                return
            _write(Head(event.pk, bytes(event.hash).hex()))
    except (OSError, Unreadable) as error:
        log.error("the head of the audit log was not written down: %s", error)  # noqa: TRY400


def _fits(old: Head, event: AuditEvent) -> bool:
    """Tell whether the log still holds `old`; the event after it says so itself."""
    if old.id == event.pk - 1:
        return old.hash == bytes(event.prev_hash).hex()
    with connection.cursor() as cursor:
        cursor.execute("select encode(hash, 'hex') from public.studio_auditevent where id = %s", [old.id])
        row = cursor.fetchone()
    return row is not None and row[0] == old.hash


def _write(head: Head) -> None:
    """Replace the file in one step: whoever reads it sees one head or the other."""
    new = path().with_name(path().name + ".new")
    new.write_text(json.dumps({"id": head.id, "hash": head.hash}) + "\n")
    os.replace(new, path())


@contextmanager
def _alone() -> Iterator[None]:
    """Let one thread of one process write at a time."""
    path().parent.mkdir(parents=True, exist_ok=True)
    with path().with_name(path().name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
