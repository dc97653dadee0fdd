"""Cursors: whatever is in a URL is either one that we wrote, or a ValueError."""

import base64
import contextlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.index.paging import Cursor, make_page

BIGINT = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


def token(*parts: object) -> str:
    return base64.urlsafe_b64encode(b"j" + json.dumps(parts).encode()).decode().rstrip("=")


@given(value=BIGINT, key=TEXT, newer=st.booleans(), start=st.integers(1, 2**40))
def test_it_reads_what_it_wrote(value: int, key: str, newer: bool, start: int) -> None:
    cursor = Cursor("activity", value, key, newer, start)
    assert Cursor.read(cursor.write(), "activity") == cursor


def test_the_empty_cursor_is_the_first_page() -> None:
    assert Cursor.read("", "activity") is None


def test_a_cursor_of_a_long_id_fits_into_a_url() -> None:
    assert len(Cursor("activity", 1, "s/" * 2048).write()) < 200


def test_a_cursor_is_safe_in_a_query_string() -> None:
    written = Cursor("runs", 7, "?/&#+ <é>").write()
    assert written.isascii()
    assert all(c.isalnum() or c in "-_" for c in written)


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "!!!!",
        "é",
        "\x00",
        "\ud800",
        "a" * 70_000,
        token(),
        token("activity", 1, "s", False),
        token("activity", 1, "s", False, 1, 2),
        token("runs", 1, "s", False, 1),
        token("activity", "1", "s", False, 1),
        token("activity", True, "s", False, 1),
        token("activity", 1.5, "s", False, 1),
        token("activity", 2**63, "s", False, 1),
        token("activity", None, "s", False, 1),
        token("activity", 1, None, False, 1),
        token("activity", 1, "a\x00b", False, 1),
        token("activity", 1, "\ud800", False, 1),
        token("activity", 1, "s", 0, 1),
        token("activity", 1, "s", False, "1"),
        token("activity", 1, "s", False, 10**30),
        token({"a": 1}),
        base64.urlsafe_b64encode(b"j" + b"[" * 5000).decode(),
        base64.urlsafe_b64encode(b"j" + b"1" * 5000).decode(),
        base64.urlsafe_b64encode(b"z" + zlib.compress(b" " * 50_000_000)).decode(),
        base64.urlsafe_b64encode(b"znot zlib").decode(),
    ],
)
def test_it_refuses_what_it_did_not_write(bad: str) -> None:
    with pytest.raises(ValueError):
        Cursor.read(bad, "activity")


@given(st.text())
def test_any_text_is_a_cursor_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        Cursor.read(text, "activity")


def _rows(*values: int) -> list[dict[str, object]]:
    return [{"v": value, "matching": 9, "cap": 10, "estimate": None} for value in values]


def _at(row: dict[str, int]) -> tuple[int, str]:
    return row["v"], str(row["v"])


def test_a_list_that_fits_on_one_page_has_no_neighbours_and_an_exact_count() -> None:
    page = make_page(_rows(3, 2), None, 2, "s", _at)
    assert (page.older, page.newer, page.count, page.count_is_exact, page.start) == (None, None, 2, True, 1)


def test_pages_are_numbered_by_their_first_row() -> None:
    first = make_page(_rows(9, 8, 7), None, 2, "s", _at)
    assert first.newer is None
    second = Cursor.read(first.older or "", "s")
    assert second == Cursor("s", 8, "8", newer=False, start=3)
    page = make_page(_rows(7, 6, 5), second, 2, "s", _at)
    assert [row["v"] for row in page.rows] == [7, 6]
    assert (page.start, page.count, page.count_is_exact) == (3, 9, True)
    back = Cursor.read(page.newer or "", "s")
    assert back == Cursor("s", 7, "7", newer=True, start=3)
    again = make_page(_rows(8, 9), back, 2, "s", _at)
    assert [row["v"] for row in again.rows] == [9, 8]
    assert (again.start, again.newer) == (1, None)
    assert again.older == first.older


def test_a_count_above_its_cap_is_a_lower_bound() -> None:
    rows = [{**row, "matching": 11} for row in _rows(3, 2, 1)]
    page = make_page(rows, None, 2, "s", _at)
    assert (page.count, page.count_is_exact, page.count_is_floor) == (10, False, True)


def test_a_count_of_a_large_table_is_an_estimate() -> None:
    rows = [{**row, "matching": None, "estimate": 123_456} for row in _rows(3, 2, 1)]
    page = make_page(rows, None, 2, "s", _at)
    assert (page.count, page.count_is_exact, page.count_is_floor) == (123_456, False, False)


def test_a_page_that_lost_all_its_rows_is_empty_and_leads_nowhere() -> None:
    page = make_page([], Cursor("s", 5, "5", start=51), 2, "s", _at)
    assert (page.rows, page.older, page.newer, page.count_is_exact) == ([], None, None, False)
