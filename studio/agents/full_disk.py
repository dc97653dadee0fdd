"""While the disk is nearly full agents may read and delete, but not write, so that the studio still can.

Their rights are taken, because an agent could lift a setting of its own role, or hold a lock against a trigger.
"""

from typing import Final

from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from studio import disk, postgres
from studio.agents import database_role, role_sql
from studio.audit.record import Actor, record
from studio.models import DatabaseRole
from studio.postgres import rights

# found in the catalogs, because whatever grants an agent its rights grants these too
_WRITERS: Final = """
    select r.name, a.schema_name, array_agg(c.relname)
    from public.studio_databaserole r
    join public.studio_agent a on a.id = r.agent_id
    join pg_catalog.pg_roles p on p.rolname = r.name
    join pg_catalog.pg_namespace n on n.nspname = a.schema_name
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = any(%s)
    where has_table_privilege(p.oid, c.oid, 'insert') or has_table_privilege(p.oid, c.oid, 'update')
    group by 1, 2 order by 1
"""
_REVOKE: Final = "revoke insert, update on {tables} from {role}"
_KEEP: Final = "insert into public.studio_refusedwrites (role) select unnest(%s::text[]) on conflict do nothing"
_KEPT: Final = "delete from public.studio_refusedwrites returning role"
_AGENTS: Final = "select name from public.studio_databaserole"
# What has been at work for a second, or keeps a temporary file: a cursor has one while its session is idle, and takes
# no right to write. A file's name has its session's process id.
_END_RUNNING: Final = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where usename = any(%s) and (
        state = 'active' and query_start < clock_timestamp() - interval '1 second'
        or pid in (select substring(name from '^pgsql_tmp([0-9]+)')::int from pg_ls_tmpdir()))
"""


def keep_room() -> None:
    """Refuse agents' writes when the disk is nearly full, and let them write again when it is not."""
    share = disk.used()
    if share is None:
        return
    if share >= disk.REFUSE:
        _refuse(share)
    elif share < disk.ALLOW:
        _allow(share)


def _refuse(share: float) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_WRITERS, [list(role_sql.TABLES)])
        writers = cursor.fetchall()
        for role, schema, tables in writers:
            names = sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables)
            cursor.execute(sql.SQL(_REVOKE).format(tables=names, role=sql.Identifier(role)))
        roles = [role for role, _, _ in writers]
        if roles:
            cursor.execute(_KEEP, [roles])
            _log("agent.writes_refused", len(roles), share)
        cursor.execute(_AGENTS)
        agents = [role for (role,) in cursor.fetchall()]
    _end_running(agents)


def _allow(share: float) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_KEPT)
        roles = [role for (role,) in cursor.fetchall()]
        for held in DatabaseRole.objects.filter(name__in=roles).select_related("agent"):
            # which of its rights an agent has is decided there alone
            database_role.ensure(held.agent)
        if roles:
            _log("agent.writes_allowed", len(roles), share)


def _end_running(roles: list[str]) -> None:
    with rights.open_as(postgres.superuser_parts(settings.DATA_DIR), "postgres") as superuser:
        superuser.execute(_END_RUNNING, [roles])


def _log(action: str, agents: int, share: float) -> None:
    record(Actor.system(), action, data={"counts": {"agents": agents}, "disk": f"{int(share * 100)} %"})
