"""Keyset pages of a list: cursors, conditions, orders and counts."""

from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg import sql

from memory.index.lag import Lag
from memory.query import Row
from studio import keyset, token


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row after which a page begins: the value that the list is sorted by, and the key, which breaks ties.

    `kind` is the list and its order. With `newer` the page is the one above; `start` is the number of its first row,
    counted from 1.
    """

    kind: str
    value: int
    key: str
    newer: bool = False
    start: int = 1

    @classmethod
    def read(cls, text: str, kind: str) -> "Cursor | None":
        """Read a token of this kind; None for "", the first page. Raises ValueError for any other text."""
        return cls(kind, *token.unpack(text, kind, (int,), (str,), (bool,), (int,))) if text else None

    def write(self) -> str:
        return token.pack(self.kind, self.value, self.key, self.newer, self.start)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `older` and `newer` are the cursors of its neighbours, or None.

    `count` is the number of all rows that match. If it is not exact, it is a lower bound with
    `count_is_floor`, and an estimate without. `start` is the number of the first row. On a page of one
    user's threads that has rows, `user` is that user's row, as get_user returns it. `lag` is that of the
    index.
    """

    rows: list[Row]
    older: str | None
    newer: str | None
    count: int
    count_is_exact: bool
    count_is_floor: bool = False
    start: int = 1
    user: Row | None = None
    lag: Lag = field(default_factory=Lag)


def beyond(newer: bool | None, value: sql.Composable, key: sql.Composable) -> sql.Composable:
    """Return the condition for rows beyond a cursor, whose values are named %(value)s and %(key)s.

    `newer` is that of the cursor, None without one.
    """
    if newer is None:
        return sql.SQL("true")
    return sql.SQL("({}, {}) {} (%(value)s, %(key)s)").format(value, key, sql.SQL(">" if newer else "<"))


def read_order(newer: bool | None, value: sql.Composable, key: sql.Composable) -> sql.Composable:
    """Return the order in which a page is read."""
    # a newer page is read from its cursor upwards, and turned round by `keyset.cut`
    return sql.SQL("{}, {}" if newer else "{} desc, {} desc").format(value, key)


def make_page(
    rows: list[Row], cursor: Cursor | None, limit: int, kind: str, at: Callable[[Row], tuple[int, str]]
) -> Page:
    """Make a page of up to `limit + 1` fetched rows, which have the columns of a count."""
    newer = cursor is not None and cursor.newer
    rows, has_older, has_newer = keyset.cut(rows, limit, newer=newer, first=cursor is None)
    start = cursor.start if cursor and has_newer else 1
    if newer:
        start = max(start - len(rows), 1) if has_newer else 1
    count, exact, floor = _count(rows, whole=not has_newer and not has_older)
    return Page(
        rows,
        Cursor(kind, *at(rows[-1]), start=start + len(rows)).write() if rows and has_older else None,
        Cursor(kind, *at(rows[0]), newer=True, start=start).write() if rows and has_newer else None,
        count,
        exact,
        floor,
        start,
    )


def _count(rows: list[Row], whole: bool) -> tuple[int, bool, bool]:
    """Return the number of matching rows, whether it is exact, and whether it is a lower bound."""
    # a page that holds all rows comes without a count
    if whole or not rows:
        return len(rows), whole, False
    matching, cap, estimate = (rows[0][name] for name in ("matching", "cap", "estimate"))
    if matching is None:
        return estimate, False, False
    if cap is not None and matching > cap:
        return cap, False, True
    return matching, True, False
