"""Counts of tries in the database, which all processes on all machines share."""

from typing import Final

from django.db import connection

# the schema is named, because the search_path may be an agent's
_COUNT: Final = """
    insert into public.studio_try as t (key, tries, ends_at)
    values (%(key)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
    on conflict (key) do update set
        tries = case when t.ends_at <= clock_timestamp() then 1 else t.tries + 1 end,
        ends_at = case when t.ends_at <= clock_timestamp() then excluded.ends_at else t.ends_at end
    returning tries
"""
_GIVE_BACK: Final = "update public.studio_try set tries = greatest(tries - 1, 0) where key = any (%s)"
_SWEEP: Final = "delete from public.studio_try where ends_at <= clock_timestamp() returning key, tries"


def count(key: str, seconds: int) -> int:
    """Count one try, and return how many there were since the first one of these seconds."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"key": key, "seconds": seconds})
        tries: int = cursor.fetchone()[0]
        return tries


def give_back(*keys: str) -> None:
    """Take one try back, which was right."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK, [list(keys)])


def sweep() -> list[tuple[str, int]]:
    """Remove the counts whose time is over, and return them."""
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP)
        ended: list[tuple[str, int]] = cursor.fetchall()
        return ended
