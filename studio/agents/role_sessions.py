"""Ending the sessions of an agent's database role, and keeping it out. A session outlives every limit of its role."""

import logging
import time
from typing import Any, Final

import psycopg
from django.db import DatabaseError, OperationalError, connection, transaction
from psycopg import errors

from studio.agents import role_sql

log = logging.getLogger("studio")

# seconds in which nobody may be left, and between two looks
PATIENCE: Final = 5
LOOK: Final = 0.02
# looks that must find nobody: who has just given the right password is not seen yet
QUIET: Final = 3
# Seconds in which a login that has begun mostly ends, and in which it does in any case on the bundled server.
SETTLE: Final = 0.2
LOGIN: Final = 5.5

# what the studio's own connection says of the way to the database
_PLACE: Final = {
    *("host", "hostaddr", "port", "dbname", "connect_timeout", "tcp_user_timeout", "gssencmode"),
    *("sslmode", "sslrootcert", "sslnegotiation", "channel_binding"),
}

# Materialized: else Postgres may end a session first, and look whose it was then.
_END: Final = """
    with theirs as materialized (
        select pid from pg_stat_activity where usename = %s and pg_has_role(usesysid, 'usage')
    )
    select pid from theirs where pg_terminate_backend(pid)"""
# An agent's session may hold up another of its own, which holds up the studio.
_END_BLOCKERS: Final = """
    with recursive blocker as (
        select unnest(pg_blocking_pids(pid)) as pid from pg_locks
        where pid = %(pid)s and not granted and waitstart < clock_timestamp() - %(busy)s * interval '1 second'
        union
        select unnest(pg_blocking_pids(b.pid)) from blocker b
    ), theirs as materialized (
        select pid from pg_stat_activity join blocker using (pid)
        where usename = %(role)s and pg_has_role(usesysid, 'usage')
    )
    select pid from theirs where pg_terminate_backend(pid)"""

# who has begun to log in is seen since this version, by whoever may see what others do
_PG_18: Final = 180_000
_SEES: Final = "select current_setting('server_version_num')::int >= %s and pg_has_role('pg_read_all_stats', 'usage')"
_LOGGING_IN: Final = "select pid from pg_stat_activity where state = 'starting'"


class StillThere(OperationalError):
    """Sessions of an agent could not be ended in time. The answer is 503."""


def end(role: str) -> set[int]:
    """End all sessions of a role, without waiting for it; return their process ids."""
    with connection.cursor() as cursor:
        cursor.execute(_END, [role])
        return {pid for (pid,) in cursor.fetchall()}


def end_blockers(role: str, pid: int, busy: float) -> set[int]:
    """End the sessions of a role for which a backend has waited so many seconds; return their process ids."""
    with connection.cursor() as cursor:
        cursor.execute(_END_BLOCKERS, {"role": role, "pid": pid, "busy": busy})
        return {ended for (ended,) in cursor.fetchall()}


def shut_out(role: str) -> set[int]:
    """Forbid a role to log in, and end its sessions until none is left; return their process ids.

    Outside of a transaction the ban is committed first: who is ended does not come back. Raises StillThere.
    """
    role_sql.join(role)
    ended, until = set[int](), time.monotonic() + PATIENCE
    while not _forbid(role):
        # one of its sessions is changing the role itself
        ended |= end(role)
        _wait(role, until)
    quiet = 0
    while quiet < QUIET:
        found = end(role)
        ended |= found
        quiet = 0 if found else quiet + 1
        _wait(role, until)
    return ended


def settle() -> None:
    """Wait until whoever has begun to log in is through with it: an old password may still count for them.

    As long as the role is shut out, they are refused.
    """
    begun, until = _fetch(_LOGGING_IN), time.monotonic() + LOGIN
    if _fetch(_SEES, [_PG_18]) != {True}:
        time.sleep(SETTLE)
    while begun & _fetch(_LOGGING_IN) and time.monotonic() < until:
        time.sleep(LOOK)


def opens(role: str, password: str) -> bool:
    """Tell whether the password opens a session; True too where the server does not ask the studio for one."""
    where = {name: value for name, value in connection.get_connection_params().items() if name in _PLACE}
    try:
        psycopg.connect(**where, user=role, password=password, application_name="agent-studio proof").close()
    except psycopg.OperationalError as error:
        if error.pgconn is not None and error.pgconn.used_password:
            return False
        # other roles may not come from here, or no connection is free
        log.warning("the password of %s could not be tried: %s", role, str(error).splitlines()[0])
    return True


def _forbid(role: str) -> bool:
    """Forbid a role to log in; False if somebody changes it at the same moment."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("set local lock_timeout = '200ms'")
            role_sql.one_at_a_time()
            role_sql.attempt(role_sql.CLOSE, role)
    except DatabaseError as error:
        if is_passing(error):
            return False
        raise
    return True


def is_passing(error: DatabaseError) -> bool:
    """Tell whether a change of a role failed only because somebody else changed it at the same moment."""
    cause = error.__cause__
    if isinstance(cause, errors.InternalError_):
        return "concurrently" in str(cause)
    return isinstance(cause, errors.LockNotAvailable | errors.DeadlockDetected)


def _fetch(query: str, values: list[Any] | None = None) -> set[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return {value for (value,) in cursor.fetchall()}


def _wait(role: str, until: float) -> None:
    if time.monotonic() > until:
        raise StillThere(f"sessions of {role} do not end")
    time.sleep(LOOK)
