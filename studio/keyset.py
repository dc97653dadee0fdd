"""Keyset pages: what the rows of one show about the pages beside it."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def cut(rows: Sequence[T], limit: int, *, newer: bool, first: bool) -> tuple[list[T], bool, bool]:
    """Cut up to `limit + 1` fetched rows to a page; return it, and whether there are older and newer pages.

    With `newer` the rows were read upwards from the cursor, and are turned round. The `first` page has no cursor.
    """
    # the row above the limit only shows that there are more
    more = len(rows) > limit
    page = list(rows[:limit])
    if newer:
        return page[::-1], True, more
    return page, more, not first
