"""The database role that an agent logs in with: exactly Agno's three tables of its own schema, nothing else.

All tables belong to the studio's role. If an agent could own or alter anything, the studio would run
the agent's code the next time it reads or deletes.
"""

import secrets
import string
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from psycopg import errors, sql

from studio import vault
from studio.audit.record import Actor, record
from studio.models import Agent, DatabaseRole
from studio.postgres.scram import scram_verifier

TABLES: Final = ("agno_sessions", "agno_runs", "agno_schema_versions")
ALPHABET: Final = string.ascii_letters + string.digits

_CREATE = """
    create role {role} with login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls
        connection limit {limit} password {verifier}"""
# The other attributes may be named only by who has them, even to take them away: no superuser before
# Postgres 16, and CREATEDB, which the bundled server does not give us, from 16 on.
_ALTER = """
    alter role {role} with login noinherit nocreaterole connection limit {limit} password {verifier}"""
# Taken away first: what an older release, or a person, may have given too much.
_RIGHTS = """
    alter role {role} set statement_timeout = {timeout};
    alter role {role} set idle_in_transaction_session_timeout = {timeout};
    alter role {role} set search_path = {schema};
    revoke all on schema {schema} from {role};
    revoke all on all tables in schema {schema} from {role};
    revoke all on all sequences in schema {schema} from {role};
    revoke all on all routines in schema {schema} from {role};
    grant usage on schema {schema} to {role};
    grant select, insert, update, delete on {tables} to {role}"""
_MAY_CONNECT = """
    revoke all on database {database} from {role};
    grant connect on database {database} to {role}"""
_DROP = """
    revoke all on database {database} from {role};
    drop role {role}"""
_CLOSE = "alter role {role} nologin"
# Ending sessions takes being a member of the role, which the studio is only for this moment.
_END_SESSIONS = """
    grant {role} to current_user;
    select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = {name};
    revoke {role} from current_user"""


class Unavailable(Exception):
    """There is no database role to hand out; the message says what an operator has to do."""


def may_create_roles() -> bool:
    """Tell whether the studio's own database user may make roles."""
    return bool(_one("select rolcreaterole or rolsuper from pg_roles where rolname = current_user"))


def ensure(agent: Agent) -> DatabaseRole | None:
    """Give an agno agent its role with exactly the rights of an agent; safe to repeat.

    Returns None for other frameworks, and where the studio may not make roles. A password that was
    handed out stays valid, unless SECRET_KEY was changed since.
    """
    if not agent.is_agno or not may_create_roles():
        return None
    with transaction.atomic():
        _one_at_a_time()
        row = DatabaseRole.objects.filter(agent=agent).first()
        password = (vault.decrypt(row.password_encrypted) if row else None) or new_password()
        if row and _exists(row.name):
            name = row.name
            _run(_ALTER, name, password=password)
        else:
            name = _create(agent.schema_name, password)
        _run(_RIGHTS, name, schema=agent.schema_name)
        # refused where the studio has no CREATEDB itself; only somebody with more rights can have given it
        _try("alter role {role} nocreatedb", name)
        # refused where the studio does not own the database; then what PUBLIC may do counts
        _try(_MAY_CONNECT, name)
        role, _ = DatabaseRole.objects.update_or_create(
            agent=agent,
            defaults={
                "name": name,
                "password_encrypted": vault.encrypt(password),
                "rotated_at": row.rotated_at if row else timezone.now(),
            },
        )
    return role


def find(agent: Agent) -> DatabaseRole:
    """Return the agent's role, or raise Unavailable when it cannot be used to log in."""
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is None and not may_create_roles():
        raise Unavailable(
            "The studio's database user may not make roles. As a superuser run: "
            f'ALTER ROLE "{_one("select current_user")}" CREATEROLE; and then: manage.py grant_agents'
        )
    if role is None or not _exists(role.name):
        raise Unavailable("This agent has no database role. Run: manage.py grant_agents")
    if not _one("select has_database_privilege(%s, current_database(), 'connect')", role.name):
        database = _one("select current_database()")
        raise Unavailable(
            f"The agent's role may not connect. As the owner of the database run: "
            f'GRANT CONNECT ON DATABASE "{database}" TO "{role.name}"'
        )
    return role


def rotate(actor: Actor, agent: Agent) -> DatabaseRole:
    """Set a new password and end the sessions that the old one opened; raises Unavailable."""
    with transaction.atomic():
        role = find(agent)
        password = new_password()
        _run(_ALTER, role.name, password=password)
        role.password_encrypted, role.rotated_at = vault.encrypt(password), timezone.now()
        role.save(update_fields=["password_encrypted", "rotated_at"])
        record(actor, "database.rotate", agent=agent, object=role.name)
        # afterwards, because until the commit the old password still opens new ones
        transaction.on_commit(lambda: _end_sessions(role.name))
    return role


def close(agent: Agent) -> None:
    """Let nobody log in with the agent's role any more, and end its sessions; `ensure` opens it again."""
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is not None:
        _try(_CLOSE, role.name)
        _end_sessions(role.name)


def drop(agent: Agent) -> None:
    """Drop the agent's role; call it after its schema is dropped, in the same transaction.

    Where the studio may not, or somebody else gave the role something, the role stays behind and can
    reach nothing of ours.
    """
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is not None:
        _one_at_a_time()
        _try(_DROP, role.name)
        role.delete()


def new_password() -> str:
    """Make a password of 190 random bits that needs no quoting anywhere."""
    return "".join(secrets.choice(ALPHABET) for _ in range(32))


def _create(schema: str, password: str) -> str:
    """Make the role, named like the schema unless another database of this server has taken that name."""
    for name in (schema, f"{schema[:54]}_{secrets.token_hex(4)}"):
        try:
            with transaction.atomic():
                _run(_CREATE, name, password=password)
        except DatabaseError as error:
            if not isinstance(error.__cause__, errors.DuplicateObject | errors.UniqueViolation):
                raise
        else:
            return name
    raise Unavailable(f"No name for a database role is free beside {schema}.")


def _run(statements: str, role: str, *, schema: str = "", password: str = "") -> None:
    """Send statements in one round trip. A password goes as its verifier: statements may be logged."""
    query = sql.SQL(statements).format(
        role=sql.Identifier(role),
        name=sql.Literal(role),
        schema=sql.Identifier(schema),
        tables=sql.SQL(", ").join(sql.Identifier(schema, table) for table in TABLES),
        database=sql.Identifier(str(_one("select current_database()"))) if "{database}" in statements else None,
        timeout=sql.Literal(settings.AGENT_STATEMENT_TIMEOUT),
        limit=sql.Literal(settings.AGENT_CONNECTION_LIMIT),
        verifier=sql.Literal(scram_verifier(password)) if password else None,
    )
    with connection.cursor() as cursor:
        cursor.execute(query)


def _try(statements: str, role: str) -> None:
    """Send statements, or none of them where the server refuses."""
    refusals = errors.InsufficientPrivilege | errors.UndefinedObject | errors.DependentObjectsStillExist
    try:
        with transaction.atomic():
            _run(statements, role)
    except DatabaseError as error:
        if not isinstance(error.__cause__, refusals):
            raise


def _one_at_a_time() -> None:
    """Wait for others who grant: two grants on one database at once fail with "tuple concurrently updated"."""
    with connection.cursor() as cursor:
        cursor.execute("lock table public.studio_databaserole in share row exclusive mode")


def _end_sessions(role: str) -> None:
    """End what is connected as the role; where that is refused, they end when they reconnect."""
    _try(_END_SESSIONS, role)


def _exists(role: str) -> bool:
    return bool(_one("select true from pg_roles where rolname = %s", role))


def _one(query: str, *values: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        row = cursor.fetchone()
        return row[0] if row else None
