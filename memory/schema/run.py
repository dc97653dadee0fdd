"""Run a file of SQL statements in the schema that is being migrated, while agents go on writing to it."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.db import OperationalError
from psycopg import errors, sql

# A lock that is not granted in this time is given up and asked for again, so that the writers
# which queue behind the request never wait longer.
LOCK_MS: Final = 500
TRIES: Final = 60
_PLAIN_INDEX: Final = re.compile(r"^create index (?=if not exists)", re.MULTILINE)


def statements(name: str, schema: str) -> list[str]:
    """Read a file of this folder as single statements, its `{schema}` filled in, quoted.

    One statement at a time is what Citus asks of a migration.
    """
    text = (Path(__file__).parent / name).read_text()
    return text.replace("{schema}", sql.Identifier(schema).as_string(None)).split("\n-- next\n")


def run(name: str, *, online: bool = False, again: bool = False) -> Callable[[Any, Any], None]:
    """Return a RunPython function for a file.

    In a new agent's transaction the statements are part of it, unless they run `again`: then an
    earlier migration has just run them. Otherwise each one commits by itself and can be run again,
    and with `online` indexes are built without blocking writers.
    """

    def forwards(apps: Any, schema_editor: Any) -> None:
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            if connection.in_atomic_block:
                for statement in [] if again else statements(name, connection.schema_name):
                    cursor.execute(statement)
                return
            cursor.execute(
                "select set_config('lock_timeout', %s, false), set_config('statement_timeout', '0', false)",
                [str(LOCK_MS)],
            )
            _drop_invalid_indexes(cursor, connection.schema_name)
            for statement in statements(name, connection.schema_name):
                _patiently(cursor, _PLAIN_INDEX.sub("create index concurrently ", statement) if online else statement)

    return forwards


def _patiently(cursor: Any, statement: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            cursor.execute(statement)
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable) or not left:
                raise
            time.sleep(LOCK_MS / 1000)
        else:
            return


def _drop_invalid_indexes(cursor: Any, schema: str) -> None:
    """An index whose concurrent build was cut off is there but unused: make room to build it again."""
    cursor.execute(
        """
        select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
        join pg_namespace n on n.oid = c.relnamespace where n.nspname = %s and not i.indisvalid
        """,
        [schema],
    )
    for (index,) in cursor.fetchall():
        cursor.execute(sql.SQL("drop index concurrently if exists {}").format(sql.Identifier(schema, index)))
