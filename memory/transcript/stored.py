"""Stored runs, fetched with their sizes in one statement from the column, the table, or both."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from psycopg import sql

from memory.history.agno_order import UNPARSED
from memory.query import Row, fetch
from memory.transcript import statements
from memory.transcript.model import Run
from memory.transcript.parse import parse_run
from memory.transcript.place import Place

# A run that has more than TEXT_LIMIT bytes of JSON to show is not shown, and a page ends early at TEXT_BUDGET. What no
# page shows is taken out of a run of more than SHOWN_FROM bytes first. The other two are in bytes as stored,
# compressed: they limit what Postgres unpacks for a page. Unpacked, too, a run has at most STORED_LIMIT.
TEXT_LIMIT: Final = 2_000_000
TEXT_BUDGET: Final = 4_000_000
SHOWN_FROM: Final = 200_000
STORED_LIMIT: Final = 64_000_000
STORED_BUDGET: Final = 64_000_000
_LIMITS: Final = {
    "text_limit": sql.Literal(TEXT_LIMIT),
    "text_budget": sql.Literal(TEXT_BUDGET),
    "shown_from": sql.Literal(SHOWN_FROM),
    "stored_limit": sql.Literal(STORED_LIMIT),
    "stored_budget": sql.Literal(STORED_BUDGET),
}


@dataclass
class StoredRun:
    """A run as fetched. `text` is its JSON, None if it is `too_large`; `bytes` is the size of all of it.

    Unless it `is_whole`, what no page shows was taken out.

    `facts` is JSON with a few fields of a run that is too large.
    """

    place: int
    run_id: str | None
    parent_run_id: str | None
    created_at: int | None
    position: int | None
    bytes: int
    too_large: bool
    is_whole: bool
    text: str | None
    status: str | None
    user_id: str | None
    facts: str | None = field(default=None, repr=False)

    @cached_property
    def run(self) -> Run:
        """The parsed run, with the row's own columns in place of the fields in its JSON."""
        run = parse_run(self.facts or "{}" if self.too_large else self.text, self.bytes)
        run.run_id = self.run_id or ""
        run.parent_run_id = self.parent_run_id or ""
        run.created_at = self.created_at
        run.status = (self.status or run.status).upper()[:40]
        run.user_id = run.user_id if self.user_id is None else self.user_id
        return run

    @property
    def value(self) -> Any:
        """The JSON of a run that is whole, as values."""
        try:
            return json.loads(self.text or "")
        except (ValueError, RecursionError):
            return UNPARSED

    @property
    def key(self) -> tuple[str | None, int | None]:
        """The run's key within its thread: a run of the column may have no id."""
        return self.run_id, self.position


def read(thread: Row, here: Place | None, newer: bool, limit: int) -> tuple[list[StoredRun], bool]:
    """Fetch up to `limit + 1` runs from a place on, newer or older ones; the last one without its text.

    Tell too whether the index could be used: where it is behind, Agno's own column and table are read.
    """
    values = {
        "session_id": thread["session_id"],
        "limit": limit + 1,
        "rows": limit,
        "place": None if here is None else here.place,
    }
    rows = _weigh(statements.INDEXED, values, here, newer) if thread["indexed"] else []
    indexed = bool(rows) and not rows[0]["dirty"]
    if not indexed:
        rows = _weigh(statements.UNINDEXED, values, here, newer)
    return [_stored(row, thread) for row in rows], indexed


def _stored(row: Row, thread: Row) -> StoredRun:
    fields = {name: value for name, value in row.items() if name != "dirty"}
    if row["created_at"] is None:
        fields["created_at"] = thread["created_at"] or None
    return StoredRun(**fields)


def in_column(thread: Row) -> bool:
    """Tell whether all runs are in the column."""
    return bool(thread["indexed"] and thread["column_runs"] and not thread["table_runs"])


def ordered(source: str, here: Place | None, *, newer: bool) -> sql.Composable:
    """Add to a source its order, and the condition for runs after a place."""
    after = "true" if here is None else f"place {'>' if newer else '<'}{'=' * here.inclusive} %(place)s"
    return sql.SQL(source).format(after=sql.SQL(after), order=_order(newer))


def _order(newer: bool) -> sql.Composable:
    return sql.SQL("place" if newer else "place desc")


def _weigh(source: str, values: dict[str, Any], here: Place | None, newer: bool) -> list[Row]:
    runs = ordered(source, here, newer=newer)
    return fetch(sql.SQL(statements.WEIGHED).format(source=runs, order=_order(newer), **_LIMITS), values)
