"""Stored runs, fetched with their sizes in one statement from the column, the table, or both."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from psycopg import sql

from memory.query import Row, fetch
from memory.transcript import statements
from memory.transcript.model import Run
from memory.transcript.parse import parse_run
from memory.transcript.place import Place

# A run with more than TEXT_LIMIT bytes of JSON is not shown, and a page ends early at TEXT_BUDGET. The other
# two are in bytes as stored, compressed: they limit what Postgres unpacks for a page.
TEXT_LIMIT: Final = 2_000_000
TEXT_BUDGET: Final = 4_000_000
STORED_LIMIT: Final = 1_000_000
STORED_BUDGET: Final = 4_000_000
_LIMITS: Final = {
    "text_limit": sql.Literal(TEXT_LIMIT),
    "text_budget": sql.Literal(TEXT_BUDGET),
    "stored_limit": sql.Literal(STORED_LIMIT),
    "stored_budget": sql.Literal(STORED_BUDGET),
}
_TABLE_VALUES: Final = "%(at)s, %(index)s, %(id)s"
_MERGED_VALUES: Final = "%(at)s, %(index)s, %(no_id)s, coalesce(%(id)s, ''), %(position)s"


@dataclass
class StoredRun:
    """A run as fetched. `text` is its JSON, None if it is `too_large`; `bytes` is the size of that text.

    `facts` is JSON with a few fields of a run that is too large.
    """

    run_id: str | None
    parent_run_id: str | None
    created_at: int
    run_index: int
    position: int | None
    bytes: int
    too_large: bool
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
    def key(self) -> tuple[str | None, int | None]:
        """The run's key within its thread: a run of the column may have no id."""
        return self.run_id, self.position

    def place(self, **way: Any) -> Place:
        return Place(self.created_at, self.run_index, self.run_id, self.position, **way)


def read(thread: Row, here: Place | None, newer: bool, limit: int) -> list[StoredRun]:
    """Fetch up to `limit + 1` runs from a place on, newer or older ones; the last one without its text."""
    values: dict[str, Any] = {"session_id": thread["session_id"], "limit": limit + 1, "rows": limit}
    values |= here.values if here else {}
    rows: list[Row] = []
    if in_column(thread) and (here is None or here.position is not None):
        first, last = _slice(thread["column_runs"], here, newer, limit)
        values |= {"first": first, "slice": f"$[{first} to {last}]"}
        rows = _weigh(sql.SQL(statements.COLUMN), values, newer) if first <= last else []
    elif in_table(thread):
        rows = _weigh(_ordered(statements.TABLE, statements.TABLE_KEY, _TABLE_VALUES, here, newer), values, newer)
    if not rows or rows[0]["dirty"]:
        # both places have runs, or the index row is out of date and may name the wrong one
        rows = _weigh(_ordered(statements.MERGED, statements.MERGED_KEY, _MERGED_VALUES, here, newer), values, newer)
    return [StoredRun(**{name: value for name, value in row.items() if name != "dirty"}) for row in rows]


def in_column(thread: Row) -> bool:
    """Tell whether all runs are in the column, in the transcript's order."""
    return bool(thread["indexed"] and thread["column_runs"] and not thread["table_runs"] and thread["column_sorted"])


def in_table(thread: Row) -> bool:
    """Tell whether all runs are in the table; the column may have copies of them."""
    return bool(thread["indexed"] and thread["table_runs"] and thread["table_runs"] == thread["runs"])


def _weigh(source: sql.Composable, values: dict[str, Any], newer: bool) -> list[Row]:
    order = _order(statements.MERGED_KEY, newer)
    return fetch(sql.SQL(statements.WEIGHED).format(source=source, order=order, **_LIMITS), values)


def _ordered(source: str, key: tuple[str, ...], values: str, here: Place | None, newer: bool) -> sql.Composable:
    """Add to a source its order, and the condition for rows after a place."""
    after: sql.Composable = sql.SQL("true")
    if here:
        sign = (">" if newer else "<") + ("=" if here.inclusive else "")
        after = sql.SQL("({}) {} ({})").format(sql.SQL(", ".join(key)), sql.SQL(sign), sql.SQL(values))
    return sql.SQL(source).format(after=after, order=_order(key, newer))


def _order(key: tuple[str, ...], newer: bool) -> sql.Composable:
    return sql.SQL(", ".join(name if newer else f"{name} desc" for name in key))


def _slice(count: int, here: Place | None, newer: bool, limit: int) -> tuple[int, int]:
    """Return the positions of the first and the last run of a page of the column; first > last if it is empty."""
    at = None if here is None or here.position is None else here.position
    step = 0 if here and here.inclusive else 1
    if newer:
        first = 0 if at is None else max(at + step, 0)
        return first, min(first + limit, count - 1)
    last = count - 1 if at is None else min(at - step, count - 1)
    return max(last - limit, 0), last
