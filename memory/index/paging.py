"""Keyset pages of a list: where one begins, what comes after it, and how many rows there are."""

from collections.abc import Callable
from dataclasses import dataclass

from psycopg import sql

from memory.query import Row
from studio import token


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row that a page continues from: its sorted value and its key, which breaks ties.

    `newer` turns the direction; `start` is the number of the page's first row, counted from 1.
    """

    sort: str
    value: int
    key: str
    newer: bool = False
    start: int = 1

    @classmethod
    def read(cls, text: str, sort: str) -> "Cursor | None":
        """Read a token made for this sort; "" is the first page, anything else raises ValueError."""
        return cls(sort, *token.unpack(text, sort, (int,), (str,), (bool,), (int,))) if text else None

    def write(self) -> str:
        return token.pack(self.sort, self.value, self.key, self.newer, self.start)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `older` and `newer` are cursors of its neighbours, None where there is none.

    `count` is of all rows that match. When it is not exact it is a lower bound where
    `count_is_floor`, else an estimate. `start` is the number of the first row. `user` is what get_user
    says of the user whose threads they are, where that was asked for and there is a row.
    """

    rows: list[Row]
    older: str | None
    newer: str | None
    count: int
    count_is_exact: bool
    count_is_floor: bool = False
    start: int = 1
    user: Row | None = None


def after(cursor: Cursor | None, value: sql.Composable, key: sql.Composable) -> sql.Composable:
    """The condition that continues from a cursor, whose values are named %(value)s and %(key)s."""
    if cursor is None:
        return sql.SQL("true")
    return sql.SQL("({}, {}) {} (%(value)s, %(key)s)").format(value, key, sql.SQL(">" if cursor.newer else "<"))


def order(cursor: Cursor | None, value: sql.Composable, key: sql.Composable) -> sql.Composable:
    """The order of a page; one that is nearer the newest end is read backwards."""
    return sql.SQL("{}, {}" if cursor and cursor.newer else "{} desc, {} desc").format(value, key)


def cut(rows: list[Row], cursor: Cursor | None, limit: int, sort: str, at: Callable[[Row], tuple[int, str]]) -> Page:
    """Make a page of `limit + 1` fetched rows that carry the columns of a count."""
    newer = cursor is not None and cursor.newer
    more = len(rows) > limit
    rows = rows[:limit][::-1] if newer else rows[:limit]
    has_newer = more if newer else cursor is not None
    has_older = newer or more
    start = cursor.start if cursor and has_newer else 1
    if newer:
        start = max(start - len(rows), 1) if has_newer else 1
    count, exact, floor = _count(rows, whole=not has_newer and not has_older)
    return Page(
        rows,
        Cursor(sort, *at(rows[-1]), start=start + len(rows)).write() if rows and has_older else None,
        Cursor(sort, *at(rows[0]), newer=True, start=start).write() if rows and has_newer else None,
        count,
        exact,
        floor,
        start,
    )


def _count(rows: list[Row], whole: bool) -> tuple[int, bool, bool]:
    """Number of matching rows, whether it is exact, and whether it is a lower bound."""
    if whole or not rows:
        return len(rows), whole, False
    matching, cap, estimate = (rows[0][name] for name in ("matching", "cap", "estimate"))
    if matching is None:
        return estimate, False, False
    if cap is not None and matching > cap:
        return cap, False, True
    return matching, True, False
