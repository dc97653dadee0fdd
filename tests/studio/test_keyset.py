"""A keyset page shows whether there are pages beside it."""

import pytest

from studio import keyset


@pytest.mark.parametrize(
    ("rows", "newer", "first", "page"),
    [
        ([], False, True, ([], False, False)),
        ([1, 2], False, True, ([1, 2], False, False)),
        ([1, 2, 3], False, True, ([1, 2], True, False)),
        ([5, 6], False, False, ([5, 6], False, True)),
        ([5, 6, 7], False, False, ([5, 6], True, True)),
        ([2, 1], True, False, ([1, 2], True, False)),
        ([4, 3, 2], True, False, ([3, 4], True, True)),
        ([], True, False, ([], True, False)),
    ],
)
def test_the_row_above_the_limit_shows_that_there_are_more(
    rows: list[int], newer: bool, first: bool, page: tuple[list[int], bool, bool]
) -> None:
    assert keyset.cut(rows, 2, newer=newer, first=first) == page
