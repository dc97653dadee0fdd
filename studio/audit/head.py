"""The head of the audit log (id and hash of its newest event), kept in a file outside the database.

If somebody removes events from the end of the log, the file still shows that they were there.
"""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from django.conf import settings
from django.db import connection

from studio import running
from studio.clerk import SECONDS, Clerk, TooSlow, lock
from studio.models import AuditEvent
from studio.postgres.kept_files import StartFailure, make_once, tighten

log = logging.getLogger("studio")
clerk = Clerk()
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
        return clerk.do(_read_locked)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"{path()} cannot be read ({error})") from error


def ready() -> None:
    """Raise TooSlow if the file cannot be had within a second: a change that it must note may not happen then."""
    try:
        clerk.do(_read_locked)
    except TooSlow:
        raise
    except (OSError, Unreadable):
        # nothing that passes by itself: `keep` makes the file, or logs why it cannot
        return


def keep(event: AuditEvent) -> None:
    """Write an event into the file after its commit. Errors are logged only, because the change is committed."""
    checked: Head | None = None
    try:
        # late rather than not at all
        while old := clerk.do(partial(_keep, event, checked), even_late=True):
            # the old head stays, because it is the evidence that the log was changed
            if not _is_in_log(old):
                check = running.command("audit verify")
                log.error("the audit log does not hold event %s as it was; run: %s", old.id, check)
                return
            checked = old
    except (OSError, Unreadable, StartFailure) as error:
        log.error("the head of the audit log was not written down: %s", error)  # noqa: TRY400


def _keep(event: AuditEvent, checked: Head | None) -> Head | None:
    """Write an event, unless the head in the file must be checked first: then return that."""
    make_once(path(), lambda: EMPTY)
    with _opened("rb+", fcntl.LOCK_EX) as file:
        old = _read(file)
        # commits arrive here in any order
        if old and old.id >= event.pk:
            return None
        # the event that follows it holds its hash, which saves a query
        follows = old is None or (old.id == event.pk - 1 and old.hash == bytes(event.prev_hash).hex())
        if not follows and old != checked:
            return old
        # In place, and in one piece: a new file with this name would take ten times as long.
        file.seek(0)
        file.write(_text(Head(event.pk, bytes(event.hash).hex())).encode())
        return None


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


EMPTY: Final = _text(Head(0, ""))


def _is_in_log(head: Head) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select encode(hash, 'hex') from public.studio_auditevent where id = %s", [head.id])
        row = cursor.fetchone()
    return row is not None and row[0] == head.hash


def _read_locked() -> Head | None:
    with _opened("rb", fcntl.LOCK_SH) as file:
        return _read(file)


@contextmanager
def _opened(mode: str, how: int) -> Iterator[IO[bytes]]:
    """Open the file with a lock, for one thread of all processes or for those who read it."""
    # opened anew each time: a lock belongs to an open file, and threads would share a common one
    with path().open(mode, buffering=0) as file:
        tighten(file.fileno())
        lock(file.fileno(), how, SECONDS)
        yield file
