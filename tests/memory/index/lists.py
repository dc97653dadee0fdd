"""Lists of threads, by their ids."""

from collections.abc import Callable
from typing import Any

from memory.index.threads import Filter, list_threads

Write = Callable[..., None]
EVERYTHING = Filter()


def ids(filter: Filter = EVERYTHING, **more: Any) -> list[str]:
    return [row["session_id"] for row in list_threads(filter, **more).rows]
