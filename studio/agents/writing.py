"""Whether an agent's database role may write: only while the agent stores sessions."""

from typing import Final

from django.db import connection, transaction
from psycopg import sql

from studio.agents.role_sql import TABLES
from studio.models import Agent, DatabaseRole, Framework, MemorySettings

# What agents may delete and read stays as it is. Rights are asked for at each statement, so that a session that is
# open already is bound by them, too.
_MAY: Final = "grant insert, update on {tables} to {role}"
_MAY_NOT: Final = "revoke insert, update on {tables} from {role}"
_IS_THERE: Final = "select exists (select from pg_roles where rolname = %s) and to_regclass(%s) is not null"
# the agents whose roles may write and should not, or the other way around
_WRONG: Final = """
    select a.id from public.studio_agent a join public.studio_databaserole d on d.agent_id = a.id
    join pg_roles r on r.rolname = d.name left join public.studio_memorysettings m on m.agent_id = a.id
    where has_table_privilege(r.oid, to_regclass(format('%%I.agno_sessions', a.schema_name))::oid, 'insert')
        <> (a.framework = %s and coalesce(m.session_storage, false))"""


def settle(agent: Agent) -> None:
    """Let the agent's role write if the agent stores sessions, else not; call it in the transaction of the change."""
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is None:
        return
    # as it is saved, because an agent that was read before holds older settings
    is_storing = agent.is_agno and MemorySettings.objects.filter(agent=agent, session_storage=True).exists()
    tables = [sql.Identifier(agent.schema_name, table) for table in TABLES]
    change = sql.SQL(_MAY if is_storing else _MAY_NOT)
    with connection.cursor() as cursor:
        # two grants on one table at the same moment fail with "tuple concurrently updated"
        cursor.execute("lock table public.studio_databaserole in share row exclusive mode")
        cursor.execute(_IS_THERE, [role.name, tables[0].as_string(None)])
        if cursor.fetchone() == (True,):
            cursor.execute(change.format(tables=sql.SQL(", ").join(tables), role=sql.Identifier(role.name)))


def heal() -> list[str]:
    """Settle agents that an earlier release left otherwise; return their ids."""
    with connection.cursor() as cursor:
        cursor.execute(_WRONG, [Framework.AGNO])
        ids = [row[0] for row in cursor.fetchall()]
    for agent in Agent.objects.filter(pk__in=ids):
        with transaction.atomic():
            settle(agent)
    return ids
