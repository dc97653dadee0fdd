"""JSON of any size, read from Postgres in pieces."""

import codecs
from collections.abc import Iterator
from typing import Any, Final

from django.db import connection
from psycopg import sql

from memory.query import long_statements
from memory.transcript import statements

# bytes
PIECE: Final = 1_000_000


def stream(source: sql.Composable, values: dict[str, Any]) -> Iterator[str]:
    """Yield the JSON text of the one row that `source` selects as `data`; nothing without a row."""
    statement = sql.SQL(statements.PIECES).format(source=source, size=sql.Literal(PIECE))
    # a cursor on the server, because without one the client fetches all pieces at once
    with connection.chunked_cursor() as cursor:
        with long_statements():
            cursor.execute(statement, values)
        # a character may be cut in two by the end of a piece
        decoder = codecs.getincrementaldecoder("utf-8")()
        while piece := cursor.fetchone():
            yield decoder.decode(piece[0])
