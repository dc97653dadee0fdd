"""Times, numbers and names as text for a page. Every function takes any stored value and never raises."""

import math
import re
from datetime import UTC, datetime
from typing import Any, Final

NOTHING: Final = "—"
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# the line below the head of a table, and what stands between two cells
_TABLE: Final = re.compile(r"\|[\s:]*-{2,}|^\s*\|.*\|")
_BARS: Final = re.compile(r"\s*\|[\s|:-]*(?=\s|$|[^\s|:-])")
# each sign of Markdown, what is taken with it, and what is left; most texts hold none of the signs
_MARKDOWN: Final = (
    ("```", re.compile(r"```[\w+-]*"), " "),
    ("](", re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)"), r"\1"),
    ("##", re.compile(r"(?<=\s)#{2,6}\s+"), ""),
    ("`", re.compile("`"), ""),
    ("~~", re.compile("~~"), ""),
    ("**", re.compile(r"\*\*"), ""),
    ("*", re.compile(r"(?<![\w*])\*(?=[^\s*])([^*]*[^\s*])\*(?![\w*])"), r"\1"),
    ("_", re.compile(r"(?<![\w_])_(?=[^\s_])([^_]*[^\s_])_(?![\w_])"), r"\1"),
)
# within a line "-", ">" and "#" have meanings of their own
_LEADING: Final = re.compile(r"\s*(?:#{1,6}|>|[-*+])\s+")
# a time that is a text, as memory_time of facts.sql reads it
_DIGITS: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
# numbers this large cannot be seconds: some writers store milliseconds, microseconds or nanoseconds
_UNITS: Final = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))


def moment(value: Any) -> datetime | None:
    """Read a datetime, or an epoch time in seconds or a finer unit, told by its size; None for anything else."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    number = None if isinstance(value, str) and not _DIGITS.fullmatch(value) else _number(value)
    if number is None or not 0 < number < 10**20:
        return None
    for size, unit in _UNITS:
        if number >= size:
            number /= unit
            break
    try:
        return datetime.fromtimestamp(number, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _number(value: Any) -> float | None:
    """Read a finite number; None for anything else, and for numbers that no float can hold."""
    # float(True) would be 1
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def iso(at: datetime) -> str:
    """Write a time as 2026-11-22T08:51:07, without its zone, which is UTC; faster than strftime."""
    return at.isoformat(timespec="seconds")[:19]


def since(at: datetime, now: datetime) -> str:
    """Say how long ago something was. times.js writes it again, so its words must be the same."""
    seconds = (now - at).total_seconds()
    days = (now.date() - at.date()).days
    if -60 < seconds < 60:
        return "just now"
    if 0 < seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if 0 < seconds < 86_400:
        return f"{int(seconds // 3600)} h ago"
    if days == 1:
        return "yesterday"
    if 1 < days < 7:
        return f"{days} days ago"
    return f"{at.day} {_MONTHS[at.month - 1]}" + ("" if at.year == now.year else f" {at.year}")


def date(at: datetime) -> str:
    """Write a day in full: 22 Nov 2026."""
    return f"{at.day} {at:%b %Y}"


def date_and_minute(at: datetime) -> str:
    """Write a time in full: 22 Nov 2026, 08:51 UTC."""
    return f"{date(at)}, {at:%H:%M} UTC"


def _three_digits(number: float) -> str:
    return f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


def compact(value: Any) -> str:
    """Shorten a count to three digits: 950, 18.4k, 1.2M."""
    number = _number(value)
    if number is None:
        return NOTHING
    sign, number = ("−" if number < 0 else ""), abs(number)
    if number < 1000:
        return f"{sign}{number:.0f}"
    for suffix in "kMBT":
        number /= 1000
        # 999.5 and more would be rounded to 1000k
        if number < 999.5 or suffix == "T":
            return f"{sign}{_three_digits(number)}{suffix}" if number < 10**6 else f"{sign}{number:.0e}{suffix}"
    return NOTHING


def count(value: Any) -> str:
    """Write a count in full, with commas: 1,234."""
    number = _number(value)
    return NOTHING if number is None else f"{int(number):,}"


def counted(value: Any, noun: str) -> str:
    """Write a count with its noun: 1 thread, 1,234 threads."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def size(value: Any) -> str:
    """Show bytes with a unit: 640 B, 1.2 KB, 3.4 MB (1 KB is 1,000 bytes)."""
    number = _number(value)
    if number is None or number < 0:
        return NOTHING
    if number < 1000:
        return f"{number:.0f} B"
    for suffix in ("KB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5 or suffix == "TB":
            return f"{_three_digits(number)} {suffix}"
    return NOTHING


def duration(value: Any) -> str:
    """Show seconds as one or two units: 640 ms, 2.6 s, 3 min 20 s, 2 h 5 min."""
    seconds = _number(value)
    if seconds is None or not 0 <= seconds < 10**9:
        return NOTHING
    # limits a little below the unit, so that rounding never gives 1000 ms or 60.0 s
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def shorten(text: str, most: int) -> str:
    """Cut a text to at most `most` characters; a cut text ends in an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def without_markdown(text: str) -> str:
    """Take the signs of Markdown out of a short text on one line, and leave its words."""
    if "|" in text and _TABLE.search(text):
        text = _BARS.sub(" · ", text).strip(" ·")
    for sign, signs, words in _MARKDOWN:
        if sign in text:
            text = signs.sub(words, text)
    if leading := _LEADING.match(text):
        text = text[leading.end() :]
    return " ".join(text.split())


def initials(icon: str, name: str) -> str:
    """Return an agent's icon, or the first letters of the first two words of its name."""
    return icon or "".join(word[0] for word in name.split()[:2]).upper()
