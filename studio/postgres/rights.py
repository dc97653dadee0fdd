"""The roles and rights of a new bundled Postgres."""

from typing import Any

from psycopg import Connection, connect
from psycopg.sql import SQL, Identifier, Literal

from studio.postgres.dsn import NAME, Parts
from studio.postgres.scram import scram_verifier

# What PUBLIC may call and no agent shall. Large objects are in no schema: an agent could fill the disk with them. So it
# could with messages in the log of changes. Advisory locks and exported snapshots are shared by everybody: a million
# locks leave no room for anybody's. Agno takes three of them, for the time of a transaction, when it numbers a run or
# a job; of these the watchdog ends whoever takes too many.
NOT_FOR_AGENTS = """
    do $$
    declare one regprocedure;
    begin
        for one in
            select p.oid from pg_proc p
            where p.pronamespace = 'pg_catalog'::regnamespace and (
                p.proname ~ '^pg_(try_)?advisory_' and p.oid::regprocedure::text not in (
                    'pg_advisory_xact_lock(bigint)', 'pg_advisory_xact_lock(integer,integer)',
                    'pg_try_advisory_xact_lock(bigint)')
                or p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite', 'pg_export_snapshot',
                    'pg_logical_emit_message', 'pg_notify'))
                and has_function_privilege('public', p.oid, 'execute')
        loop
            execute format('revoke execute on function %s from public', one);
        end loop;
    end $$
"""


def grant_rights(superuser: Parts, password: str) -> None:
    """Make the studio's role and database, and revoke what Postgres grants to PUBLIC; safe to repeat."""
    with open_as(superuser, "postgres") as connection:
        _make_role(connection, password)
        if not _exists(connection, "pg_database", "datname"):
            connection.execute(SQL("create database {0} owner {0}").format(Identifier(NAME)))
        for name in ("template1", "postgres", NAME):
            connection.execute(SQL("revoke all on database {} from public").format(Identifier(name)))
    # template1 too, because new databases are copies of it
    for name in ("template1", "postgres", NAME):
        with open_as(superuser, name) as connection:
            connection.execute("revoke all on schema public from public")
            connection.execute(NOT_FOR_AGENTS)
            # Not as the database's owner alone: Postgres looks up the studio's roles before it knows the database when
            # it gives away one of the connections that are kept, and such a session would not be the owner's.
            connection.execute(SQL("grant all on schema public to {}").format(Identifier(NAME)))


def _make_role(connection: Connection[Any], password: str) -> None:
    if not _exists(connection, "pg_roles", "rolname"):
        connection.execute(SQL("create role {}").format(Identifier(NAME)))
    # The verifier and not the password, because a failing statement may be written to the server's log.
    connection.execute(
        SQL("alter role {} with login createrole nosuperuser nocreatedb noreplication nobypassrls password {}").format(
            Identifier(NAME), Literal(scram_verifier(password))
        )
    )


def _exists(connection: Connection[Any], catalog: str, column: str) -> bool:
    query = SQL("select 1 from {} where {} = %s").format(Identifier(catalog), Identifier(column))
    return connection.execute(query, [NAME]).fetchone() is not None


def open_as(superuser: Parts, name: str) -> Connection[Any]:
    """Connect to a database as the superuser."""
    return connect(
        host=superuser["host"],
        port=superuser["port"],
        user=superuser["user"],
        password=superuser["password"],
        dbname=name,
        autocommit=True,
        connect_timeout=5,
    )
