"""Running a file of SQL statements in an agent's schema, while the agent goes on writing to it."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.db import OperationalError
from psycopg import errors, sql

from studio.postgres.backend.patience import patient

# A statement that waits for a lock blocks all writers that come after it. So it gives up after this time, and
# is tried again.
LOCK_MS: Final = 50
WAIT: Final = 0.2
TRIES: Final = 300
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
            # a statement may take long, e.g. to build an index, but not wait long for its lock
            cursor.execute(
                "select set_config('lock_timeout', %s, false), set_config('statement_timeout', '0', false)",
                [str(LOCK_MS)],
            )
            with patient("0"):
                _drop_invalid_indexes(cursor, connection.schema_name)
                for statement in statements(name, connection.schema_name):
                    if online:
                        statement = _PLAIN_INDEX.sub(r"create \1index concurrently ", statement)
                    _patiently(cursor, statement)

    return forwards


def _patiently(cursor: Any, statement: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            cursor.execute(statement)
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable) or not left:
                raise
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
