"""The turn to migrate, which one program has at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError, ProgrammingError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import IntegrityError
from psycopg import errors

from studio.postgres.kept_files import StartFailure

# seconds; another machine may build an index over millions of rows
WAIT: Final = 60
# A table of the studio's own, made by the first who needs it: any role could hold an advisory lock.
_MAKE: Final = "create table if not exists public.studio_migrating ()"
# a backup may read it all the while
_LOCK: Final = "lock table public.studio_migrating in exclusive mode"
_HOLDER: Final = """
    select a.pid, a.usename, a.application_name, to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
    from pg_locks l join pg_stat_activity a using (pid)
    where l.relation = 'public.studio_migrating'::regclass and l.granted and l.mode = 'ExclusiveLock'"""


@contextmanager
def only_one() -> Iterator[None]:
    """Let one program migrate at a time; another one waits, and raises StartFailure if that takes too long."""
    # on a connection of its own: the lock would end with Django's, which `migrate` closes
    other = connection.copy()
    options = {**connection.settings_dict["OPTIONS"], "application_name": "agent-studio migration"}
    options["options"] = f"-c lock_timeout={WAIT}s -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    other.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    try:
        _lock(other)
        yield
    finally:
        other.close()


def _lock(other: BaseDatabaseWrapper) -> None:
    with other.cursor() as cursor:
        try:
            cursor.execute(_MAKE)
        except (IntegrityError, ProgrammingError) as error:
            # another one has made it at the same moment
            if not isinstance(error.__cause__, errors.UniqueViolation | errors.DuplicateTable):
                raise
        other.set_autocommit(False)
        try:
            cursor.execute(_LOCK)
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable):
                raise
            other.rollback()
            cursor.execute(_HOLDER)
            raise StartFailure(_sentence(cursor.fetchone())) from None


def _sentence(holder: tuple[int, str, str, str] | None) -> str:
    who = "{1} ({2}), process {0} of the database, since {3} UTC".format(*holder) if holder else "somebody"
    return f"The tables are being updated by {who}: wait until that is done, or end it, and start again."
