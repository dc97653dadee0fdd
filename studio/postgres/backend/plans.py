"""How statements are planned."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db import connection


@contextmanager
def planned_with_values() -> Iterator[None]:
    """Have the statements of a block planned for their values, each time.

    A prepared one may get a plan for any values, which cannot know that a pattern begins with a rare word.
    """
    connection.ensure_connection()
    raw = cast(Any, connection.connection)
    before, raw.prepare_threshold = raw.prepare_threshold, None
    try:
        yield
    finally:
        raw.prepare_threshold = before
