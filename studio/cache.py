"""A cache in a table of the database whose values are JSON, so that no row can make the studio run anything.

Django's own pickles them.
"""

import json
from itertools import count
from typing import Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from studio.postgres.backend.base import public_cursor

_GET: Final = "select value from public.studio_cache where cache_key = %s and expires > now()"
_PUT: Final = """
    insert into public.studio_cache as c (cache_key, value, expires)
    values (%(key)s, %(value)s, coalesce(to_timestamp(%(until)s), 'infinity'))
    on conflict (cache_key) do update set value = excluded.value, expires = excluded.expires
    where %(over)s or c.expires <= now()
    returning true"""
_TOUCH: Final = """
    update public.studio_cache set expires = coalesce(to_timestamp(%s), 'infinity')
    where cache_key = %s and expires > now()"""
_DELETE: Final = "delete from public.studio_cache where cache_key = %s"
# what has expired, and of the rest what expires first if it is too much
_CULL: Final = """
    delete from public.studio_cache where expires <= now() or cache_key in (
        select cache_key from public.studio_cache order by expires desc offset %s)"""
_CULL_EVERY: Final = 100

_written = count(1)


class JsonCache(BaseCache):
    """Django's cache over `studio_cache`; a stored value that is no JSON is a miss."""

    def __init__(self, table: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._most: int = (params.get("OPTIONS") or {}).get("MAX_ENTRIES", 100_000)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        with public_cursor() as cursor:
            cursor.execute(_GET, [self._key(key, version)])
            row = cursor.fetchone()
        try:
            return json.loads(row[0]) if row else default
        except (ValueError, RecursionError):
            return default

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._put(key, value, timeout, version, over=True)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._put(key, value, timeout, version, over=False)

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._change(_TOUCH, [self.get_backend_timeout(timeout), self._key(key, version)])

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._change(_DELETE, [self._key(key, version)])

    def clear(self) -> None:
        self._change("delete from public.studio_cache", [])

    def _put(self, key: str, value: Any, timeout: Any, version: int | None, *, over: bool) -> bool:
        if next(_written) % _CULL_EVERY == 0:
            self._change(_CULL, [self._most])
        values = {"key": self._key(key, version), "value": json.dumps(value)}
        return self._change(_PUT, {**values, "until": self.get_backend_timeout(timeout), "over": over})

    def _change(self, statement: str, values: Any) -> bool:
        with public_cursor() as cursor:
            cursor.execute(statement, values)
            return bool(cursor.rowcount)

    def _key(self, key: str, version: int | None) -> str:
        return str(self.make_and_validate_key(key, version=version))
