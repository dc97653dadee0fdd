"""Django system checks of a database that the studio did not set up itself."""

import os
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning, register
from django.db import DatabaseError, connection

from studio import running
from studio.agents import connection_limits
from studio.agents.connection import is_bundled
from studio.postgres.backend.patience import MARGIN, seconds
from studio.proxies import is_loopback

# what libpq takes for encrypted in any case; the usual `prefer` goes on without
_ENCRYPTED: Final = ("require", "verify-ca", "verify-full")

_FACTS = """
    select current_user, current_database(), r.rolsuper, r.rolcreaterole or r.rolsuper,
        has_database_privilege('public', current_database(), 'temporary'),
        has_schema_privilege('public', 'public', 'create'),
        has_database_privilege('public', current_database(), 'connect')
            or has_database_privilege(current_database(), 'connect with grant option')
    from pg_roles r where r.rolname = current_user
"""
_PRINT_REVOCATION = "-c 'from studio.postgres.rights import NOT_FOR_AGENTS; print(NOT_FOR_AGENTS)'"
_LOCKS_ARE_OPEN = "select has_function_privilege('public', 'pg_catalog.pg_advisory_lock(bigint)', 'execute')"


@register
def database_rights(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Warn where the rights in the database let agents do more than they should, or the studio less.

    Returns nothing while the database cannot be reached.
    """
    # the bundled server gets its rights at its first start
    if is_bundled():
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(_FACTS)
            row = cursor.fetchone()
    except DatabaseError:
        return []
    return _judge(*row) if row else []


@register
def database_host(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Warn of a DSN that xpander-sdk would break, because it replaces "postgresql" wherever it finds it."""
    host = settings.PUBLIC_DATABASE_HOST or str(connection.settings_dict["HOST"])
    if "postgresql" not in f"{host}/{connection.settings_dict['NAME']}":
        return []
    text = 'xpander-sdk cannot use a database whose host or name contains "postgresql".'
    return [Warning(text, hint="Set PUBLIC_DATABASE_HOST to another name, or rename the database.", id="studio.W006")]


@register
def connections_for_all(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Warn where agents together can take the connections that the studio needs; nothing while it cannot be asked."""
    try:
        text = connection_limits.crowded()
    except DatabaseError:
        return []
    user, grant = connection.settings_dict["USER"], running.command("grant_agents")
    hint = connection_limits.HINT.format(own=connection_limits.OWN, user=user, grant=grant)
    return [Warning(text, hint=hint, id="studio.W007")] if text else []


@register
def encrypted(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Warn of what is sent openly over a network: to the database, and mail."""
    place, found = connection.settings_dict, list[CheckMessage]()
    mode = place["OPTIONS"].get("sslmode") or os.environ.get("PGSSLMODE", "")
    if _is_remote(str(place["HOST"])) and mode not in _ENCRYPTED:
        text = "The connection to the database may be unencrypted: DATABASE_URL names another machine without sslmode."
        hint = "Add ?sslmode=verify-full to DATABASE_URL, or at least ?sslmode=require, which checks no certificate."
        found.append(Warning(text, hint=hint, id="studio.W008"))
    is_open = not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL)
    if settings.EMAIL_URL and is_open and _is_remote(settings.EMAIL_HOST):
        text = "Mail with sign-in links is sent to another machine unencrypted."
        found.append(Warning(text, hint="Begin EMAIL_URL with smtp+tls:// or smtp+ssl://.", id="studio.W009"))
    return found


def _is_remote(hosts: str) -> bool:
    """Tell whether one of these hosts is another machine; a path is a socket on this one."""
    return any(host and not host.startswith(("/", "@")) and not is_loopback(host) for host in hosts.split(","))


@register
def locks_of_everybody(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Warn where agents may take advisory locks, which fill a table that all share; nothing if it cannot be asked."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_LOCKS_ARE_OPEN)
            (is_open,) = cursor.fetchone()
    except DatabaseError:
        return []
    if not is_open:
        return []
    text = (
        "Agents may take advisory locks, because every role may. The studio ends who holds too many; until then others"
        " may be refused."
    )
    program = running.MANAGE.replace("manage.py", _PRINT_REVOCATION)
    hint = f'As a superuser, in the database "{connection.settings_dict["NAME"]}", run what this prints: {program}'
    return [Warning(text, hint=hint, id="studio.W010")]


@register
def limits_of_agents(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Say which of two limits ends a statement that takes long."""
    statement, transaction = settings.AGENT_STATEMENT_TIMEOUT, settings.AGENT_TRANSACTION_SECONDS
    allowed = seconds(statement)
    if allowed is not None and allowed - MARGIN <= transaction:
        return []
    text = f"Agents' statements end after {transaction} s (AGENT_TRANSACTION_SECONDS), before AGENT_STATEMENT_TIMEOUT."
    hint = f"The session ends with them. To have the statement end alone, make it longer than {statement}."
    return [Info(text, hint=hint, id="studio.I011")]


def _judge(
    user: str, database: str, is_super: bool, makes_roles: bool, temp: bool, create: bool, connect: bool
) -> list[CheckMessage]:
    # numbered in this order: studio.W001 to W005
    rules = (
        (
            not makes_roles,
            "The studio may not make database roles, so agents get no connection.",
            f'As a superuser: ALTER ROLE "{user}" CREATEROLE; then run: {running.command("grant_agents")}',
        ),
        (
            is_super,
            "The studio connects as a superuser of the database, whom no rule binds.",
            "Give it a role that owns the database and has LOGIN and CREATEROLE, no more.",
        ),
        (
            temp,
            "Agents may make temporary tables, because in this database every role may.",
            f'As its owner: REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC;',
        ),
        (
            create,
            "Agents may make tables and functions in the schema public, because every role may.",
            "As its owner: REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
        ),
        (
            not connect,
            "The studio may not let agents connect, because it does not own its database.",
            f'As its owner: GRANT CONNECT ON DATABASE "{database}" TO "{user}" WITH GRANT OPTION;',
        ),
    )
    return [
        Warning(text, hint=hint, id=f"studio.W{number:03}")
        for number, (is_wrong, text, hint) in enumerate(rules, 1)
        if is_wrong
    ]
