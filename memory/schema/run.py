"""Running a file of SQL statements in an agent's schema, while the agent goes on writing to it."""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from django.db import OperationalError, connection
from django_tenants.utils import schema_context
from psycopg import errors, sql

from studio.postgres.backend.patience import patient

# A statement that waits for a lock blocks all writers that come after it. So it gives up after this time, and
# is tried again.
LOCK_MS: Final = 50
WAIT: Final = 0.2
TRIES: Final = 300
# Building an index without blocking writers waits for each transaction that is older.
OLDER_MS: Final = 20_000
SHORT: Final = 15
# the files that make a schema, in this order
FILES: Final = (
    "agno.sql",
    "tables.sql",
    "facts.sql",
    "shown.sql",
    "feed.sql",
    "tombstones.sql",
    "fold.sql",
    "backlog.sql",
)
# a statement ends with a semicolon, but not with one in the body of a function or in a comment
_STATEMENT: Final = re.compile(r"(?:\$\$.*?\$\$|--[^\n]*|[^;])+;", re.DOTALL)
_PLAIN_INDEX: Final = re.compile(r"^create (unique )?index (?=if not exists)", re.MULTILINE)
# Transactions that are older than a wait for a lock. Of other roles' sessions not everybody may know since when.
_OLDER: Final = """
    select a.pid, left(a.application_name, 60), a.usename, a.xact_start
    from pg_stat_activity a join pg_locks l on l.pid = a.pid and l.locktype = 'virtualxid' and l.granted
    where a.datname = current_database() and a.pid <> pg_backend_pid()
        and coalesce(a.xact_start < clock_timestamp() - interval '10 s', true)
    order by a.xact_start nulls last limit 3
"""


class Held(OperationalError):
    """A lock was not to be had in time; the message says who has it and what to do."""


def statements(name: str, schema: str) -> list[str]:
    """Read a file of this folder as single statements, with the quoted schema in place of `{schema}`."""
    # single, because Citus takes one statement at a time
    text = (Path(__file__).parent / name).read_text()
    return _STATEMENT.findall(text.replace("{schema}", sql.Identifier(schema).as_string(None)))


def run(name: str, *, online: bool = False, again: bool = False) -> Callable[[Any, Any], None]:
    """Return a RunPython function that runs a file.

    For a new agent the statements are part of its transaction. `again` marks a file that an earlier migration
    runs too: for a new agent it is skipped. In an existing schema each statement commits by itself, and with
    `online` indexes are built without blocking writers.
    """

    def forwards(apps: Any, schema_editor: Any) -> None:
        connection = schema_editor.connection
        if connection.in_atomic_block and again:
            return
        with connection.cursor() as cursor:
            if connection.in_atomic_block:
                # sent without a wait for each answer
                with connection.wrap_database_errors, connection.connection.pipeline():
                    for statement in statements(name, connection.schema_name):
                        cursor.execute(statement)
                return
            _run_online(cursor, connection.schema_name, [name], is_online=online)

    return forwards


def complete(schema: str) -> None:
    """Make in an existing schema what it lacks, while its agent writes; safe to repeat."""
    with schema_context(schema), connection.cursor() as cursor:
        try:
            _run_online(cursor, schema, FILES, is_online=True)
        finally:
            # it ends with its settings
            connection.close()


def _run_online(cursor: Any, schema: str, names: Iterable[str], *, is_online: bool) -> None:
    # a statement may take long, e.g. to build an index, but not wait long for its lock
    cursor.execute("select set_config('statement_timeout', '0', false)")
    _wait_for_locks(cursor, LOCK_MS)
    try:
        with patient("0"):
            _drop_invalid_indexes(cursor, schema)
            for statement in (one for name in names for one in statements(name, schema)):
                if is_online and _PLAIN_INDEX.search(statement):
                    _build(cursor, _PLAIN_INDEX.sub(r"create \1index concurrently ", statement))
                else:
                    _patiently(cursor, statement)
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable):
            raise Held(f"{_holders(cursor)} Wait for their end, or end them, then run this again.") from error
        raise


def _wait_for_locks(cursor: Any, milliseconds: int) -> None:
    cursor.execute("select set_config('lock_timeout', %s, false)", [str(milliseconds)])


def _build(cursor: Any, statement: str) -> None:
    # Once: cut off it leaves an index that is never used, and "if not exists" would take that for a success. While it
    # waits it keeps nobody from writing.
    _wait_for_locks(cursor, OLDER_MS)
    cursor.execute(statement)
    _wait_for_locks(cursor, LOCK_MS)


def _holders(cursor: Any) -> str:
    """Name the sessions that others wait for: who, by which program, since when."""
    cursor.execute(_OLDER)
    found = [
        f"process {pid} ({program or 'without a name'}, role {role or 'unknown'}"
        f"{f', since {since:%Y-%m-%d %H:%M:%S %Z}' if since else ''})"
        for pid, program, role, since in cursor.fetchall()
    ]
    if not found:
        return "A lock was held for too long."
    return f"A transaction that is open holds up the change: {', '.join(found)}."


def _patiently(cursor: Any, statement: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            cursor.execute(statement)
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable) or not left:
                raise
            if left == TRIES - SHORT:
                # long enough for the watchdog to end an agent's session that holds it
                cursor.execute("set lock_timeout = '2500ms'")
            time.sleep(WAIT)
        else:
            return


def _drop_invalid_indexes(cursor: Any, schema: str) -> None:
    """Drop indexes whose concurrent build was interrupted."""
    # such an index exists and is never used, and "if not exists" would leave it so
    cursor.execute(
        """
        select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
        join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and not i.indisvalid
        """,
        [schema],
    )
    for (index,) in cursor.fetchall():
        cursor.execute(sql.SQL("drop index concurrently if exists {}").format(sql.Identifier(schema, index)))
