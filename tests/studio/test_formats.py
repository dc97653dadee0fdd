"""Times and numbers as a page says them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from studio import formats
from tests.reading import rendered
from tests.world import NOW


def ago(value: Any) -> str:
    return rendered('{% from "studio/_time.html" import ago %}{{ ago(value) }}', value=value)


def when(value: Any) -> str:
    return rendered('{% from "studio/_time.html" import when %}{{ when(value) }}', value=value)


class TestTimes:
    NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("ago", "words"),
        [
            (0, "just now"),
            (59, "just now"),
            (-30, "just now"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (86_399, "23 h ago"),
            (86_400, "yesterday"),
            (36 * 3600 - 1, "yesterday"),
            (36 * 3600 + 1, "2 days ago"),
            (6 * 86_400, "6 days ago"),
            (7 * 86_400, "15 Nov"),
            (-90, "22 Nov"),
            (365 * 86_400, "22 Nov 2025"),
        ],
    )
    def test_they_are_told_in_the_words_that_fit(self, ago: int, words: str) -> None:
        assert formats.since(self.NOON - timedelta(seconds=ago), self.NOON) == words

    def test_they_carry_the_absolute_time_with_its_zone(self) -> None:
        shown = ago(1_763_000_000)
        assert shown.startswith('<time datetime="2025-11-13T02:13:20Z" title="2025-11-13 02:13:20 UTC" data-ago>')
        assert "13 Nov 2025, 02:13 UTC</time>" in when(1_763_000_000)

    @pytest.mark.parametrize("value", [1_763_000_000, 1_763_000_000_000, 1_763_000_000_000_000, 1_763_000_000 * 10**9])
    def test_finer_units_are_recognised(self, value: int) -> None:
        at = formats.moment(value)
        assert at is not None
        assert at.year == 2025

    def test_a_datetime_is_shown_in_utc(self) -> None:
        at = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
        assert "31 Dec 2025, 23:00 UTC" in when(at)
        assert formats.moment(at.replace(tzinfo=None)) is not None

    @pytest.mark.parametrize("value", [None, ""])
    def test_none_is_a_dash(self, value: Any) -> None:
        assert ago(value) == when(value) == "—"

    @pytest.mark.parametrize(
        "value", [-1, 0, 1e20, 10**30, float("nan"), float("inf"), "x", "<b>", [], {}, True, object(), 10**400]
    )
    def test_garbage_is_said_to_be_so(self, value: Any) -> None:
        for shown in (ago(value), when(value)):
            assert "no valid time" in shown
            assert "<b>" not in shown

    def test_a_stored_second_survives_the_way_to_the_page(self) -> None:
        assert f"{datetime.fromtimestamp(NOW, UTC):%Y-%m-%dT%H:%M:%SZ}" in ago(NOW)


class TestNumbers:
    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (18_432, "18.4k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (152_300, "152k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (1_234_567, "1.2M"),
            (10**12, "1.0T"),
            (-1500, "−1.5k"),
        ],
    )
    def test_compact_keeps_three_digits(self, number: int, words: str) -> None:
        assert formats.compact(number) == words

    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (0, "0 B"),
            (640, "640 B"),
            (1234, "1.2 KB"),
            (999_700, "1.0 MB"),
            (3_400_000, "3.4 MB"),
            (5 * 10**13, "50.0 TB"),
        ],
    )
    def test_sizes_have_units(self, number: int, words: str) -> None:
        assert formats.size(number) == words

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "0 ms"),
            (0.64, "640 ms"),
            (0.9999, "1.0 s"),
            (2.64, "2.6 s"),
            (59.96, "1 min"),
            (200, "3 min 20 s"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
        ],
    )
    def test_durations_have_units(self, seconds: float, words: str) -> None:
        assert formats.duration(seconds) == words

    def test_counts_are_written_in_full(self) -> None:
        assert formats.count(1_234_567) == "1,234,567"

    @pytest.mark.parametrize(("number", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1234, "1,234 runs")])
    def test_counts_have_their_noun(self, number: int, words: str) -> None:
        assert formats.counted(number, "run") == words

    @pytest.mark.parametrize("value", [None, "", "x", float("nan"), float("inf"), [], {}, 10**400, True])
    @pytest.mark.parametrize("name", ["compact", "size", "duration", "count"])
    def test_garbage_is_a_dash(self, name: str, value: Any) -> None:
        assert getattr(formats, name)(value) == "—"

    @pytest.mark.parametrize("number", [10**15, 10**30, 1.7e308])
    def test_absurd_numbers_stay_short(self, number: float) -> None:
        assert len(formats.compact(number)) < 12
        assert len(formats.duration(number)) < 12


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("I have invoice **R26-40503** in front", "I have invoice R26-40503 in front"),
        ('I heard: *"After six."* I put', 'I heard: "After six." I put'),
        ("## Title Then `code`, ~~gone~~, _em_, [a link](https://a.b)", "Title Then code, gone, em, a link"),
        ("| Week | Mon | |------|----:| | 1 | 2 |", "Week · Mon · 1 · 2"),
        ("- one - two", "one - two"),
        ("> quoted", "quoted"),
        ("```python print(1) ```", "print(1)"),
        ("**cut off in the midd", "cut off in the midd"),
        # what only looks like Markdown stays
        ("2 * 3 * 4 = 24, a > b, 5 - 3, C# and F# too", "2 * 3 * 4 = 24, a > b, 5 - 3, C# and F# too"),
        ("__init__ of snake_case_name", "__init__ of snake_case_name"),
        ("cat x | grep y", "cat x | grep y"),
        ("", ""),
    ],
)
def test_a_preview_is_words_without_the_signs_of_markdown(stored: str, shown: str) -> None:
    assert formats.without_markdown(stored) == shown
