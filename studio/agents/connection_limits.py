"""Whether the connections that agents may open together leave the studio its own."""

from typing import Final

from django.db import connection

from studio.running import MANAGE

# of the web server, the upkeep and commands
OWN: Final = 20
# Reserved connections came with Postgres 16.
_SUM: Final = """
    select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
        coalesce(current_setting('reserved_connections', true), '0')::int >= %(own)s and exists (
            select from pg_catalog.pg_roles
            where rolname = 'pg_use_reserved_connections' and pg_has_role(oid, 'usage')
        ),
        coalesce(sum(case when r.rolconnlimit < 0 then 100000 else r.rolconnlimit end), 0)::int
    from public.studio_databaserole d join pg_catalog.pg_roles r on r.rolname = d.name and r.rolcanlogin
"""
HINT: Final = (
    "On PostgreSQL 16 or newer, as a superuser: ALTER SYSTEM SET reserved_connections = {own};"
    ' GRANT pg_use_reserved_connections TO "{user}"; in its database GRANT ALL ON SCHEMA public TO "{user}";'
    " and restart it. Else raise max_connections, or lower AGENT_CONNECTION_LIMIT and run: {grant}"
)


def advice() -> str:
    """Say what `crowded` says, for whoever has just let an agent in, and where to read what to set."""
    said = crowded()
    return f"{said} {MANAGE} check says what to set." if said else ""


def crowded() -> str:
    """Say that agents together can take the studio's own connections; empty if they cannot."""
    with connection.cursor() as cursor:
        cursor.execute(_SUM, {"own": OWN})
        most, is_reserved, agents = cursor.fetchone()
    if is_reserved or agents + OWN <= most:
        return ""
    return (
        f"All agents together may open {agents} connections, and the database has {most}:"
        f" that can leave fewer than the {OWN} that the studio needs."
    )
