"""The tombstones of the current schema's deleted threads, and threads that are there in spite of one."""

from typing import Final

from psycopg import sql

from memory.query import fetch
from studio.audit.tombstones import Grave

_COLUMNS: Final = sql.SQL("select encode(t.thread_hash, 'hex') as hash, t.deleted_at, t.created_at")
_EVERY: Final = _COLUMNS + sql.SQL(" from memory_tombstone t order by t.deleted_at")
_OF: Final = _COLUMNS + sql.SQL("""
    from memory_tombstone_key k cross join unnest(%(ids)s::text[]) as id
    join memory_tombstone t on t.thread_hash = memory_hash(k.key, id)""")
_GIVEN: Final = sql.SQL("""
    with given as (
        select decode(hash, 'hex') as hash, max(deleted_at) as deleted_at, max(created_at) as created_at
        from unnest(%(hashes)s::text[], %(deleted)s::bigint[], %(created)s::bigint[])
            as g (hash, deleted_at, created_at)
        group by hash
    )""")
_PUT: Final = _GIVEN + sql.SQL("""
    insert into memory_tombstone as t (thread_hash, deleted_at, created_at)
    select hash, deleted_at, created_at from given order by hash
    on conflict (thread_hash) do update set deleted_at = greatest(t.deleted_at, excluded.deleted_at),
        created_at = greatest(t.created_at, excluded.created_at)
    returning 1""")
# by the rule of memory_refuse(): what was created later is another talk under the same id
_RISEN: Final = _GIVEN + sql.SQL("""
    select s.session_id::text as session_id from memory_tombstone_key k cross join agno_sessions s
    join given g on g.hash = memory_hash(k.key, s.session_id)
    where coalesce(memory_micros(s.created_at), 0) <= coalesce(g.created_at, g.deleted_at * 1000000 + 999999)""")


def every() -> list[Grave]:
    """Return all tombstones, the oldest deletion first."""
    return [(row["hash"], row["deleted_at"], row["created_at"]) for row in fetch(_EVERY, {})]


def of(session_ids: list[str]) -> list[Grave]:
    """Return the tombstones of threads that were just deleted."""
    return [(row["hash"], row["deleted_at"], row["created_at"]) for row in fetch(_OF, {"ids": session_ids})]


def put(graves: list[Grave]) -> None:
    """Put tombstones back that the database does not have any more."""
    fetch(_PUT, _columns(graves))


def risen(graves: list[Grave]) -> list[str]:
    """Return the ids of threads that are there although they were deleted."""
    return [row["session_id"] for row in fetch(_RISEN, _columns(graves), one_plan=False)]


def _columns(graves: list[Grave]) -> dict[str, list[object]]:
    hashes, deleted, created = zip(*graves, strict=True) if graves else ((), (), ())
    return {"hashes": list(hashes), "deleted": list(deleted), "created": list(created)}
