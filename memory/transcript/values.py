"""Readers of values in foreign JSON: each returns a value of its type, or an empty one."""

import json
import math
import re
from typing import Any, Final

from studio import ids
from studio.formats import moment

# far above any time or count, and small enough for a bigint
_LARGEST: Final = 10**18
# bytes of the id of a run or a message; it stands in many addresses of a page
LONGEST_RUN_ID: Final = 255
_UNWRITABLE: Final = re.compile("[\x00\ud800-\udfff]")


def string(value: Any) -> str:
    """Return a string that is valid UTF-8 and that Postgres can store; "" for any other type."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() and "\x00" not in value else _UNWRITABLE.sub("\ufffd", value)


def identifier(value: Any, longest: int = LONGEST_RUN_ID) -> str:
    """Return an id, or the key of a longer one."""
    return ids.key(string(value), longest)


def as_int(value: Any) -> int | None:
    """Return a number as an integer; None for booleans, other types and absurdly large numbers."""
    number = as_float(value)
    return None if number is None else int(number)


def as_time(value: Any) -> int | None:
    """Read a time in seconds, milliseconds or finer, as SQL's memory_time does; None for what is none."""
    at = moment(value)
    return None if at is None else int(at.timestamp())


def as_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -_LARGEST < value < _LARGEST and not math.isnan(value) else None


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_json(value: Any) -> str:
    """Write a value as JSON text, or a note in its place if it is nested too deeply."""
    try:
        return string(json.dumps(value, ensure_ascii=False, default=str))
    except (RecursionError, ValueError):
        return "(nested too deeply to show)"


def first(value: dict[str, Any], *names: str) -> str:
    return next((text for name in names if (text := string(value.get(name)))), "")[:200]


def count(metrics: dict[str, Any], *names: str) -> int | None:
    """Return the first of these metrics as `amount` does, as an integer."""
    found = amount(metrics, *names)
    return None if found is None else int(found)


def amount(metrics: dict[str, Any], *names: str) -> float | None:
    """Return the first of these metrics that is a number, or the sum of a list of numbers, as Agno 1 wrote them."""
    for name in names:
        stored = metrics.get(name)
        numbers = [number for one in as_list(stored) if (number := as_float(one)) is not None]
        found = sum(numbers) if numbers else as_float(stored)
        if found is not None and found >= 0:
            return found
    return None
