"""What the watchdog asks Postgres: who agents' roles are, what their sessions hold, and to end some of them."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from django.db import Error
from psycopg import errors

from studio.agents.connection import is_bundled

# the rows of the server's table of locks
_ROOM: Final = """
    select current_setting('max_locks_per_transaction')::int
        * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"""
# As JSON, because a database of before an upgrade has no `admitted_at`, and its migrations may have to win, too.
_ROLES: Final = """
    select r.oid::bigint, d.agent_id, extract(epoch from (to_jsonb(d) ->> 'admitted_at')::timestamptz)::float
    from public.studio_databaserole d join pg_catalog.pg_roles r on r.rolname = d.name
    where pg_has_role(r.oid, 'usage') and not r.rolsuper"""
# Roles are in a table of the whole server, which takes a lock to read. Where none is to be had, what is stored of them
# must do: a new agent's role is watched from its first moment.
_STORED: Final = """
    select (to_jsonb(d) ->> 'oid')::bigint, d.agent_id,
        extract(epoch from (to_jsonb(d) ->> 'admitted_at')::timestamptz)::float
    from public.studio_databaserole d where to_jsonb(d) ->> 'oid' is not null"""
# By functions alone, which take no locks of tables. Waiting for a lock is timed since Postgres 14.
_WATCH: Final = """
    with lock_now as materialized (select * from pg_lock_status()),
    held as (select pid, count(*) as locks from lock_now group by pid),
    session as materialized (select * from pg_stat_get_activity(null)),
    hindered as materialized (
        select pid, usesysid, extract(epoch from clock_timestamp() - min(waitstart))::float as waits
        from lock_now join session using (pid)
        where not granted and (usesysid = (select usesysid from session where pid = pg_backend_pid())
            or usesysid = any (%(roles)s::bigint[]::oid[]))
        group by pid, usesysid
    ), blocker as (
        -- agents hold up each other by advisory locks alone, whose numbers are everybody's
        select b.pid, max(waits) as waits
        from hindered h, unnest(pg_blocking_pids(h.pid)) b (pid) join session s on s.pid = b.pid
        where waits > %(moment)s and s.usesysid <> h.usesysid group by b.pid
    )
    select pid, usesysid::bigint, coalesce(locks, 0), coalesce(waits, 0),
        coalesce(extract(epoch from xact_start), 0)::float,
        coalesce(extract(epoch from clock_timestamp() - xact_start), 0)::float,
        coalesce(extract(epoch from backend_start), 0)::float
    from session left join held using (pid) left join blocker using (pid)
    where usesysid = any (%(roles)s::bigint[]::oid[])"""
# Materialized: else Postgres may end a session first, and look whose it was then.
_END: Final = """
    with theirs as materialized (
        select pid from pg_stat_get_activity(null)
        where pid = any (%(pids)s::int[]) and usesysid = any (%(roles)s::bigint[]::oid[])
    )
    select pid from theirs where pg_terminate_backend(pid)"""


@dataclass(frozen=True, slots=True)
class Role:
    """The database role of an agent; who came in before `admitted_at` knows an old password at best."""

    agent_id: str
    admitted_at: float | None


@dataclass(frozen=True, slots=True)
class Session:
    """A session of an agent: `waits` are the seconds for which it holds up the studio; `transaction` is its begin."""

    pid: int
    role: int
    locks: int
    waits: float
    transaction: float
    age: float
    began: float


def room(cursor: Any) -> int:
    """Return the rows of the server's table of locks."""
    cursor.execute(_ROOM)
    return int(cursor.fetchone()[0])


def roles(cursor: Any) -> dict[int, Role]:
    """Return the roles of agents by oid. It takes a lock; where none is to be had, `stored_roles` takes none."""
    cursor.execute(_ROLES)
    return {oid: Role(*row) for oid, *row in cursor.fetchall()}


def stored_roles(cursor: Any) -> dict[int, Role]:
    cursor.execute(_STORED)
    return {oid: Role(*row) for oid, *row in cursor.fetchall()}


def sessions(cursor: Any, roles: list[int], moment: float) -> list[Session]:
    """Return the sessions of these roles; who waits for one of them for less than `moment` seconds is not counted."""
    cursor.execute(_WATCH, {"roles": roles, "moment": moment})
    return [Session(*row) for row in cursor.fetchall()]


def end(cursor: Any, roles: list[int], pids: list[int]) -> list[int]:
    """End those of these sessions that are theirs, and return them."""
    try:
        cursor.execute(_END, {"roles": roles, "pids": pids})
    except Error as error:
        if not (isinstance(error.__cause__, errors.OutOfMemory) and is_bundled()):
            raise
        # To ask whether one may end a new role's session takes a lock, too. The bundled server is the same user's.
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return pids
    return [pid for (pid,) in cursor.fetchall()]
