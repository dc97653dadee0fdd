"""Statements about one database role."""

from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from psycopg import errors, sql

from studio.postgres.scram import scram_verifier

TABLES: Final = ("agno_sessions", "agno_runs", "agno_schema_versions")

CREATE: Final = """
    create role {role} with login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls
        connection limit {limit} password {verifier}"""
# Only these: to name an attribute, even to take it away, one must have it oneself. That is superuser before
# Postgres 16, and from 16 on CREATEDB, which the studio's role on the bundled server has not.
ALTER: Final = """
    alter role {role} with login noinherit nocreaterole connection limit {limit} password {verifier}"""
# An agent may set these for itself, and so lift its limits; all that it has set goes.
LIMITS: Final = """
    alter role {role} reset all;
    alter role {role} in database {database} reset all;
    alter role {role} set statement_timeout = {timeout};
    alter role {role} set idle_in_transaction_session_timeout = {timeout};
    alter role {role} set search_path = {schema}"""
# All rights are revoked first, because an earlier release or a person may have granted too many.
RIGHTS: Final = """
    revoke all on schema {schema} from {role};
    revoke all on all tables in schema {schema} from {role};
    revoke all on all sequences in schema {schema} from {role};
    revoke all on all routines in schema {schema} from {role};
    grant usage on schema {schema} to {role};
    grant select, insert, update, delete on {tables} to {role}"""
MAY_CONNECT: Final = """
    revoke all on database {database} from {role};
    grant connect on database {database} to {role}"""
DROP: Final = """
    revoke all on database {database} from {role};
    drop role {role}"""
# What a role may set for objects that it cannot make (`alter default privileges`) keeps it from being dropped.
FORGET: Final = "drop owned by {role}"
_OWNS: Final = """
    select exists (
        select from pg_shdepend d join pg_roles r on r.oid = d.refobjid
        where r.rolname = %s and d.refclassid = 'pg_authid'::regclass and d.deptype = 'o'
            and d.classid <> 'pg_default_acl'::regclass
    )"""
OPEN: Final = "alter role {role} login"
CLOSE: Final = "alter role {role} nologin"
# Who has a role's rights may end its sessions, and no others. These rights are fewer than the studio's own. It cannot
# become the role.
JOIN: Final = "grant {role} to current_user with inherit true, set false"
JOIN_BEFORE_16: Final = "grant {role} to current_user"
PG_16: Final = 160_000


def run(statements: str, role: str, *, schema: str = "", password: str = "") -> None:
    """Run statements about a role in one round trip."""
    # the password's verifier in place of the password, because the server may log statements
    query = sql.SQL(statements).format(
        role=sql.Identifier(role),
        schema=sql.Identifier(schema),
        tables=sql.SQL(", ").join(sql.Identifier(schema, table) for table in TABLES),
        database=sql.Identifier(str(one("select current_database()"))) if "{database}" in statements else None,
        timeout=sql.Literal(settings.AGENT_STATEMENT_TIMEOUT),
        limit=sql.Literal(settings.AGENT_CONNECTION_LIMIT),
        verifier=sql.Literal(scram_verifier(password)) if password else None,
    )
    with connection.cursor() as cursor:
        cursor.execute(query)


def attempt(statements: str, role: str) -> bool:
    """Run statements about a role, or none of them if the server refuses one; tell whether they were run."""
    refusals = errors.InsufficientPrivilege | errors.UndefinedObject | errors.DependentObjectsStillExist
    try:
        with transaction.atomic():
            run(statements, role)
    except DatabaseError as error:
        if not isinstance(error.__cause__, refusals):
            raise
        return False
    return True


def drop(role: str) -> None:
    """Drop a role, unless it owns something, or the server refuses it."""
    if not one(_OWNS, role):
        attempt(FORGET, role)
    attempt(DROP, role)


def one_at_a_time() -> None:
    """Wait until no other transaction grants or revokes, or changes a role."""
    # two that change one row of a system table at the same moment fail with "tuple concurrently updated"
    with connection.cursor() as cursor:
        cursor.execute("lock table public.studio_databaserole in share row exclusive mode")


def join(role: str) -> None:
    """Let the studio end the role's sessions; nothing if it may already, or may not grant that."""
    if exists(role) and not one("select pg_has_role(%s, 'usage')", role):
        connection.ensure_connection()
        newer = connection.connection.info.server_version >= PG_16
        with transaction.atomic():
            one_at_a_time()
            attempt(JOIN if newer else JOIN_BEFORE_16, role)


def exists(role: str) -> bool:
    return bool(one("select true from pg_roles where rolname = %s", role))


def one(query: str, *values: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        row = cursor.fetchone()
        return row[0] if row else None
