"""Bringing agents' database roles back to what is stored of them."""

from typing import Final

from django.db import connection

from studio.agents.database_role import admit, closed, is_proven
from studio.agents.role_sql import join, one
from studio.models import Agent, DatabaseRole, Framework

_SHUT: Final = """
    select d.agent_id from public.studio_databaserole d
    join public.studio_agent a on a.id = d.agent_id join pg_roles r on r.rolname = d.name
    where a.framework = %s and not r.rolcanlogin"""
_NOT_JOINED: Final = """
    select d.name from public.studio_databaserole d join pg_roles r on r.rolname = d.name
    where not pg_has_role(r.oid, 'usage')"""
_MAY_LOG_IN: Final = "select rolcanlogin from pg_roles where rolname = %s"
# the agents that were shut out when it was last looked
_shut: set[str] = set()


def mend() -> None:
    """Let the studio end the sessions of every role, and admit roles that something shut out and did not end.

    Such a role is found twice in a row: a process was killed meanwhile.
    """
    global _shut
    for name in _names(_NOT_JOINED):
        join(name)
    found = _names(_SHUT, Framework.AGNO)
    for agent_id in found & _shut:
        admit(agent_id)
    _shut = found


def confirm(agent: Agent) -> None:
    """Set the stored password again, and end all sessions, unless it still opens one, or somebody else is at it."""
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is None or is_proven(role) or not one(_MAY_LOG_IN, role.name):
        return
    # it may have been let in meanwhile, perhaps with a newer password
    role.refresh_from_db()
    if not is_proven(role):
        with closed(agent):
            pass


def _names(query: str, *values: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return {name for (name,) in cursor.fetchall()}
