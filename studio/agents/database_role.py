"""The database role that an agent logs in with. It may use Agno's three tables of its own schema, nothing else.

All tables belong to the studio's role. An agent that could own or alter anything could add a trigger or
a view, and the studio would run the agent's code when it next deletes or reads.
"""

import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import DateTimeField, Func
from django.utils import timezone
from psycopg import errors

from studio import vault
from studio.agents import role_sessions, role_sql, writing
from studio.agents.role_sql import (
    ALTER,
    CLOSE,
    CREATE,
    LIMITS,
    MAY_CONNECT,
    OPEN,
    RIGHTS,
    attempt,
    exists,
    join,
    one,
    one_at_a_time,
    run,
)
from studio.audit.record import Actor, prove, record
from studio.models import Agent, DatabaseRole
from studio.running import MANAGE

# needs no quoting in SQL, a URL or a shell
ALPHABET: Final = string.ascii_letters + string.digits
# as often a role is let in anew, if its sessions change it at the same moment
ADMISSIONS: Final = 5
_FROM_BEFORE: Final = """
    select true from pg_stat_activity a join public.studio_databaserole d on d.name = a.usename
    where d.agent_id = %s and a.backend_start < d.admitted_at limit 1"""
# the database's clock, because the starts of sessions are compared with it
_NOW: Final = Func(function="clock_timestamp", output_field=DateTimeField())


class Unavailable(Exception):
    """The agent has no database role that can log in; the message says what an operator has to do."""


class NotProven(Unavailable, OperationalError):
    """The agent's sessions changed its password at the same moment, again and again. Elsewhere the answer is 503."""


def may_create_roles() -> bool:
    """Tell whether the studio's own database role may create roles."""
    return bool(one("select rolcreaterole or rolsuper from pg_roles where rolname = current_user"))


def ensure(agent: Agent) -> DatabaseRole | None:
    """Give an Agno agent its role with exactly the rights of an agent; safe to repeat.

    Returns None for other frameworks, and if the studio may not create roles. The password stays the
    same, unless SECRET_KEY was changed since.
    """
    if not agent.is_agno or not may_create_roles():
        return None
    with transaction.atomic():
        one_at_a_time()
        row = DatabaseRole.objects.filter(agent=agent).first()
        password = (vault.decrypt(row.password_encrypted) if row else None) or new_password()
        if row and exists(row.name):
            name = row.name
            run(ALTER, name, password=password)
        else:
            name = _create(agent.schema_name, password)
        run(LIMITS, name, schema=agent.schema_name)
        run(RIGHTS, name, schema=agent.schema_name)
        join(name)
        # refused if the studio has no CREATEDB itself; then only somebody with more rights can have given it
        attempt("alter role {role} nocreatedb", name)
        # refused if the studio does not own the database; then the rights of PUBLIC decide
        attempt(MAY_CONNECT, name)
        role, _ = DatabaseRole.objects.update_or_create(
            agent=agent,
            defaults={
                "name": name,
                "oid": one("select oid::bigint from pg_roles where rolname = %s", name),
                "password_encrypted": vault.encrypt(password),
                "rotated_at": row.rotated_at if row else timezone.now(),
            },
        )
        writing.settle(agent)
    return role


def find(agent: Agent) -> DatabaseRole:
    """Return the agent's role, or raise Unavailable if nobody can log in with it."""
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is None and not may_create_roles():
        raise Unavailable(
            "The studio's database user may not make roles. As a superuser run: "
            f'ALTER ROLE "{one("select current_user")}" CREATEROLE; and then: {MANAGE} grant_agents'
        )
    if role is None or not exists(role.name):
        raise Unavailable(f"This agent has no database role. Run: {MANAGE} grant_agents")
    if not one("select has_database_privilege(%s, current_database(), 'connect')", role.name):
        database = one("select current_database()")
        raise Unavailable(
            f"The agent's role may not connect. As the owner of the database run: "
            f'GRANT CONNECT ON DATABASE "{database}" TO "{role.name}"'
        )
    return role


def rotate(actor: Actor, agent: Agent) -> DatabaseRole:
    """Set a new password and end the sessions that the old one opened; raise Unavailable without a role."""
    find(agent)
    prove(actor)
    with closed(agent) as ended, transaction.atomic():
        one_at_a_time()
        role = find(agent)
        role.password_encrypted, role.rotated_at = vault.encrypt(new_password()), timezone.now()
        role.save(update_fields=["password_encrypted", "rotated_at"])
        record(actor, "database.rotate", agent=agent, object=role.name, data=data_of(ended))
    return role


@contextmanager
def closed(agent: Agent) -> Iterator[set[int]]:
    """Keep the agent's role out until the block ends, whatever its sessions hold or set; then let it in again.

    Yields the process ids of the sessions that were ended.
    It stays out if the agent is removed, or has another framework by then. A process that dies in the block leaves
    it out, until `role_upkeep.mend`.
    """
    # removing the agent takes it away
    agent_id = agent.pk
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is None:
        yield set()
        return
    try:
        yield role_sessions.shut_out(role.name)
    finally:
        # at once, or after the transaction around it
        transaction.on_commit(partial(admit, agent_id))


def data_of(ended: set[int]) -> dict[str, int]:
    """Return what the event of an act says of the sessions that were ended for it."""
    return {"ended_sessions": len(ended)} if ended else {}


def admit(agent_id: str) -> None:
    """Let a role in that is shut out: with the stored password, its own limits only, and proof that the password works.

    Raises NotProven if that cannot be had.
    """
    for _ in range(ADMISSIONS):
        try:
            role = _restore(agent_id)
            if role is None:
                return
            role_sessions.settle()
            _open(role)
        except DatabaseError as error:
            if not role_sessions.is_passing(error):
                raise
            role = DatabaseRole.objects.filter(agent=agent_id).first()
        else:
            if is_proven(role) and not one(_FROM_BEFORE, agent_id):
                return
        if role is not None:
            # somebody was in, and may have changed the role
            role_sessions.shut_out(role.name)
    raise NotProven("The database password could not be set: the agent's sessions set another. Try again.")


def _restore(agent_id: str) -> DatabaseRole | None:
    """Set the stored password, and lift what the role has set for itself, while it is out; None if it must stay out."""
    with transaction.atomic():
        one_at_a_time()
        role = DatabaseRole.objects.select_related("agent").filter(agent=agent_id).first()
        if role is None or not role.agent.is_agno or not exists(role.name):
            return None
        if password := vault.decrypt(role.password_encrypted):
            run(ALTER, role.name, password=password)
            run(CLOSE, role.name)
        run(LIMITS, role.name, schema=role.agent.schema_name)
        return role


def _open(role: DatabaseRole) -> None:
    with transaction.atomic():
        one_at_a_time()
        run(OPEN, role.name)
        DatabaseRole.objects.filter(agent=role.agent_id).update(admitted_at=_NOW)


def is_proven(role: DatabaseRole) -> bool:
    """Tell whether the stored password opens a session, as far as it can be tried."""
    password = vault.decrypt(role.password_encrypted)
    return password is None or role_sessions.opens(role.name, password)


def drop(agent: Agent) -> None:
    """Drop the agent's role; call it after its schema is dropped, in the same transaction.

    The role remains if the studio may not drop it, or if somebody else gave it something to own. It then
    reaches nothing of the studio's.
    """
    role = DatabaseRole.objects.filter(agent=agent).first()
    if role is not None:
        one_at_a_time()
        role_sql.drop(role.name)
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
                run(CREATE, name, password=password)
        except DatabaseError as error:
            if not isinstance(error.__cause__, errors.DuplicateObject | errors.UniqueViolation):
                raise
        else:
            return name
    raise Unavailable(f"No name for a database role is free beside {schema}.")
