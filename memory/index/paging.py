"""Opaque keyset tokens: where a page of a list ends, so that the next one begins there."""

import base64
import binascii
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from memory.query import Row

_BIGINT: Final = range(-(2**63), 2**63)
_LONGEST: Final = 65_536  # characters of a token, and bytes of what it unpacks to
_WORTH_PACKING: Final = 200


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
    def read(cls, token: str, sort: str) -> "Cursor | None":
        """Read a token made for this sort; "" is the first page, anything else raises ValueError."""
        if not token:
            return None
        made_for, value, key, newer, start = _unpack(token)
        if made_for != sort or type(newer) is not bool or not isinstance(key, str) or "\x00" in key:
            raise ValueError("not a cursor of this list")
        if type(value) is not int or type(start) is not int or value not in _BIGINT or start not in _BIGINT:
            raise ValueError("not a cursor of this list")
        key.encode()  # a lone surrogate raises, which is a ValueError too
        return cls(sort, value, key, newer, start)

    def write(self) -> str:
        return _pack([self.sort, self.value, self.key, self.newer, self.start])


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `older` and `newer` are tokens of its neighbours, None where there is none.

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


def _pack(parts: list[Any]) -> str:
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
    # A session id may be 4 KB of repetition; a URL may not.
    body = b"z" + zlib.compress(text, 9) if len(text) > _WORTH_PACKING else b"j" + text
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _unpack(token: str) -> list[Any]:
    try:
        token = token[:_LONGEST]
        body = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        text = zlib.decompressobj().decompress(body[1:], _LONGEST) if body[:1] == b"z" else body[1:]
        parts = json.loads(text)
    except (ValueError, zlib.error, binascii.Error, RecursionError) as error:
        raise ValueError("not a cursor") from error
    if not isinstance(parts, list) or len(parts) != 5:
        raise ValueError("not a cursor")
    return parts
