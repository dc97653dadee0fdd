"""The database role that an agent logs in with. It may use Agno's three tables of its own schema, nothing else.

All tables belong to the studio's role. An agent that could own or alter anything could add a trigger or
a view, and the studio would run the agent's code when it next deletes or reads.
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
from studio.running import MANAGE

TABLES: Final = ("agno_sessions", "agno_runs", "agno_schema_versions")
# needs no quoting in SQL, a URL or a shell
ALPHABET: Final = string.ascii_letters + string.digits

_CREATE = """
    create role {role} with login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls
        connection limit {limit} password {verifier}"""
# Only these: to name an attribute, even to take it away, one must have it oneself. That is superuser before
# Postgres 16, and from 16 on CREATEDB, which the studio's role on the bundled server has not.
_ALTER = """
    alter role {role} with login noinherit nocreaterole connection limit {limit} password {verifier}"""
# All rights are revoked first, because an earlier release or a person may have granted too many.
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
# Only a member of a role may end its sessions. The studio is one for this moment only.
_END_SESSIONS = """
    grant {role} to current_user;
    select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = {name};
    revoke {role} from current_user"""


class Unavailable(Exception):
    """The agent has no database role that can log in; the message says what an operator has to do."""


def may_create_roles() -> bool:
    """Tell whether the studio's own database role may create roles."""
    return bool(_one("select rolcreaterole or rolsuper from pg_roles where rolname = current_user"))


def ensure(agent: Agent) -> DatabaseRole | None:
    """Give an Agno agent its role with exactly the rights of an agent; safe to repeat.

    Returns None for other frameworks, and if the studio may not create roles. The password stays the
    same, unless SECRET_KEY was changed since.
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
        # refused if the studio has no CREATEDB itself; then only somebody with more rights can have given it
        _try("alter role {role} nocreatedb", name)
        # refused if the studio does not own the database; then the rights of PUBLIC decide
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
    """Return the agent's role, or raise Unavailable if nobody can log in with it."""
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is None and not may_create_roles():
        raise Unavailable(
            "The studio's database user may not make roles. As a superuser run: "
            f'ALTER ROLE "{_one("select current_user")}" CREATEROLE; and then: {MANAGE} grant_agents'
        )
    if role is None or not _exists(role.name):
        raise Unavailable(f"This agent has no database role. Run: {MANAGE} grant_agents")
    if not _one("select has_database_privilege(%s, current_database(), 'connect')", role.name):
        database = _one("select current_database()")
        raise Unavailable(
            f"The agent's role may not connect. As the owner of the database run: "
            f'GRANT CONNECT ON DATABASE "{database}" TO "{role.name}"'
        )
    return role


def rotate(actor: Actor, agent: Agent) -> DatabaseRole:
    """Set a new password and end the sessions that the old one opened; raise Unavailable without a role."""
    with transaction.atomic():
        role = find(agent)
        password = new_password()
        _run(_ALTER, role.name, password=password)
        role.password_encrypted, role.rotated_at = vault.encrypt(password), timezone.now()
        role.save(update_fields=["password_encrypted", "rotated_at"])
        record(actor, "database.rotate", agent=agent, object=role.name)
        # after the commit, because until then the old password still opens new sessions
        transaction.on_commit(lambda: _end_sessions(role.name))
    return role


def close(agent: Agent) -> None:
    """Forbid the agent's role to log in, and end its sessions; `ensure` allows it again."""
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is not None:
        # in this order: a session that is ended must not be opened again
        _try(_CLOSE, role.name)
        _end_sessions(role.name)


def drop(agent: Agent) -> None:
    """Drop the agent's role; call it after its schema is dropped, in the same transaction.

    The role remains if the studio may not drop it, or if somebody else granted it something. It then
    reaches nothing of the studio's.
    """
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is not None:
        _one_at_a_time()
        _try(_DROP, role.name)
        role.delete()


def new_password() -> str:
    """Make a password of 190 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(32))


def _create(schema: str, password: str) -> str:
    """Create the role, named like the schema, or with a random suffix if that name is taken."""
    # roles belong to the whole server, so another database may have the name; Postgres cuts it at 63 bytes
    for name in (schema, f"{schema[:54]}_{secrets.token_hex(4)}"):
        try:
            # in a savepoint, so that the outer transaction survives a name that is taken
            with transaction.atomic():
                _run(_CREATE, name, password=password)
        except DatabaseError as error:
            if not isinstance(error.__cause__, errors.DuplicateObject | errors.UniqueViolation):
                raise
        else:
            return name
    raise Unavailable(f"No name for a database role is free beside {schema}.")


def _run(statements: str, role: str, *, schema: str = "", password: str = "") -> None:
    """Run statements about a role in one round trip."""
    # the password's verifier in place of the password, because the server may log statements
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
    """Run statements about a role, or none of them if the server refuses one."""
    refusals = errors.InsufficientPrivilege | errors.UndefinedObject | errors.DependentObjectsStillExist
    try:
        with transaction.atomic():
            _run(statements, role)
    except DatabaseError as error:
        if not isinstance(error.__cause__, refusals):
            raise


def _one_at_a_time() -> None:
    """Wait until no other transaction grants or revokes."""
    # two grants on one database at the same moment fail with "tuple concurrently updated"
    with connection.cursor() as cursor:
        cursor.execute("lock table public.studio_databaserole in share row exclusive mode")


def _end_sessions(role: str) -> None:
    """End the sessions of a role; if that is refused, they go on until they disconnect."""
    _try(_END_SESSIONS, role)


def _exists(role: str) -> bool:
    return bool(_one("select true from pg_roles where rolname = %s", role))


def _one(query: str, *values: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        row = cursor.fetchone()
        return row[0] if row else None
