"""The demo: moved to any moment."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from memory.demo import load
from tests.memory.demo.made import DAY, RESEARCH, Json

FILES = Path(load.__file__).parent


def named_values(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON tree that is no list or object, with the name it stands under."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from named_values(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from named_values(part, name)
    else:
        yield name, value


def test_a_thread_is_moved_by_one_span_and_nothing_else_in_it_changes(made: dict[str, list[Json]]) -> None:
    for before, after in pairs(made):
        span = after["session"]["created_at"] - before["session"]["created_at"]
        for (name, old), (same, new) in zip(named_values(before), named_values(after), strict=True):
            assert name == same
            if isinstance(old, int | float) and name.endswith(("_at", "_time")):
                assert new == pytest.approx(old + span, abs=1e-3)
            elif not isinstance(old, str):
                assert new == old


def test_threads_older_than_a_day_are_moved_by_whole_days(now: int, made: dict[str, list[Json]]) -> None:
    exactly = 0
    for before, after in pairs(made):
        span = after["session"]["updated_at"] - before["session"]["updated_at"]
        if after["session"]["updated_at"] < now - DAY:
            assert span % DAY == 0
            assert datetime.fromtimestamp(after["session"]["updated_at"], UTC).hour >= 5
        else:
            exactly += span == now - before["recorded_at"]
    assert exactly > 20


def test_nothing_lies_ahead(now: int, threads: list[Json]) -> None:
    times = [
        value
        for name, value in named_values(threads)
        if name.endswith(("_at", "_time")) and isinstance(value, int | float) and name != "recorded_at"
    ]
    assert len(times) > 8000
    assert now - 61 * DAY < min(times) < max(times) <= now
    written = re.findall(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", json.dumps(threads))
    assert len(written) > 3000
    assert max(datetime.fromisoformat(f"{one}+00:00").timestamp() for one in written) <= now


def test_written_dates_lie_around_their_thread(threads: list[Json]) -> None:
    found = 0
    for thread in threads:
        days = [
            (date.fromisoformat(text.replace("/", "-")) - began(thread)).days
            for text in re.findall(r"(?<![\d-])20\d\d(?:-\d\d-|/\d\d/)\d\d", json.dumps(thread))
        ]
        found += len(days)
        assert all(-10 * 366 < day < 120 for day in days)
        months = re.findall(r'\\"(20\d\d-\d\d)\\"', json.dumps(thread["session"]["runs"]))
        assert all(-64 * 31 < (date.fromisoformat(f"{month}-15") - began(thread)).days < 80 for month in months)
    assert found > 5000


def test_spoken_dates_lie_around_their_thread(made: dict[str, list[Json]]) -> None:
    languages = Counter()
    for before, after in pairs(made):
        lang = before.get("lang", "en")
        for day in spoken(json.dumps(after, ensure_ascii=False), lang, began(after)):
            languages[lang] += 1
            assert -7 <= (day - began(after)).days <= 75, (day, after["session"]["session_id"])
    assert languages.total() > 500
    assert len(languages) > 12


def test_spoken_years_lie_around_their_thread(made: dict[str, list[Json]]) -> None:
    found = 0
    for thread in made[RESEARCH["id"]]:
        years = [int(year) for year in re.findall(r'"year\\": (\d{4})', json.dumps(thread))]
        found += len(years)
        assert all(began(thread).year - 9 <= year <= began(thread).year for year in years)
    assert found > 100


def pairs(made: dict[str, list[Json]]) -> Iterator[tuple[Json, Json]]:
    """Every thread as it was recorded and as it was moved."""
    for one in load.AGENTS:
        lines = (FILES / one["threads"]).read_text().splitlines() if one["threads"] else []
        yield from zip(map(json.loads, lines), made[one["id"]], strict=True)


def began(thread: Json) -> date:
    return datetime.fromtimestamp(thread["session"]["created_at"], UTC).date()


def spoken(text: str, lang: str, near: date) -> Iterator[date]:
    """Every date that is said in a language's own way, in the year in which it is nearest to another."""
    form = json.loads((FILES / "dates.json").read_text())[lang]
    day = r"(?P<d>(?<!\d)\d{1,2})"
    pattern = re.escape(form["day"]).replace(r"\{d\}", day).replace(r"\{m\}", f"(?P<m>{'|'.join(form['months'])})")
    for match in re.finditer(pattern, text):
        month = form["months"].index(match["m"]) + 1
        if (month, int(match["d"])) != (2, 29):
            years = [date(near.year + more, month, int(match["d"])) for more in (-1, 0, 1)]
            yield min(years, key=lambda one: abs(one - near))


def recorded(text: str, **more: Any) -> str:
    """The line of a thread that was recorded at noon on 1 March 2026, two hours after it began and ended."""
    at = int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp())
    session = {"session_id": "one", "created_at": at, "updated_at": None, "session_data": {"said": text}}
    return json.dumps({"recorded_at": at + 2 * 3600, "session": session, "runs": [], **more})


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "28 February, 13 March, December, 2026, 2025"),
        ("de", "28. Februar, 13. März, Dezember, 2026, 2025"),
        ("ja", "2月28日, 3月13日, 12月, 2026, 2025"),
        ("he", "28 בפברואר, 13 במרץ, דצמבר, 2026, 2025"),
    ],
)
def test_marks_are_said_in_the_language_of_the_thread(lang: str, said: str) -> None:
    line = recorded("{{day-1}}, {{day+12}}, {{month-3}}, {{year}}, {{year-1}}", lang=lang)
    now = json.loads(line)["recorded_at"]
    assert load.move(line, now)["session"]["session_data"]["said"] == said


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("2026-03-01T09:58:07+00:00", "2026-04-01T08:58:07+00:00"),
        ("2026-03-01 09:58:07.25", "2026-04-01 08:58:07.25"),
        ("\n2026-02-27,", "\n2026-03-30,"),
        ("https://news.example/2026/02/27/1", "https://news.example/2026/03/30/1"),
        ("2026-02", "2026-03"),
        ('{"created_at": 1772359200.5}', '{"created_at": 1775034000.5}'),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("{{ 7*7 }} {{today}} {{day +1}}", "{{ 7*7 }} {{today}} {{day +1}}"),
    ],
)
def test_what_is_a_time_moves_and_what_is_none_stays(text: str, later: str) -> None:
    """Thirty-one days less an hour later, so that the thread began 31 dates later."""
    line = recorded(text)
    moved = load.move(line, json.loads(line)["recorded_at"] + 31 * DAY - 3600)
    assert moved["session"]["session_data"]["said"] == later
