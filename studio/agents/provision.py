"""Making, editing and removing agents: row, schema, tables, role and audit event in one transaction."""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.db.migrations.exceptions import MigrationSchemaMissing
from psycopg import errors, sql

from studio.agents import database_role, memory_settings, writing
from studio.audit import tombstones
from studio.audit.record import Actor, prove, record
from studio.ids import is_agent_id, new_agent_id, schema_name
from studio.models import Agent, MemorySettings
from studio.postgres.backend.patience import patient

EDITABLE = ("name", "icon", "description", "framework", "model_provider", "model_name", "instructions", "status")

# Only this app has tables in an agent's schema. Without naming it, the migrations of all other apps would
# be recorded there too, which takes a second for each agent.
TENANT_APP = "memory"

# Ids that would hide an address of the studio: /agents/new/ and /api/agents/list.
RESERVED = frozenset({"list", "new"})


class Refused(Exception):
    """The agent cannot be made as asked; the message says why and what to do."""


def create_agent(actor: Actor, *, agent_id: str = "", **fields: Any) -> Agent:
    """Create an agent with its schema, tables, role and default memory settings, in one transaction.

    An empty `agent_id` is replaced by a random one. Raises Refused for an id that is not allowed or
    whose schema name is taken.
    """
    agent_id = agent_id or new_agent_id()
    if not is_agent_id(agent_id):
        raise Refused(
            "Use 1 to 58 lower-case letters, digits, hyphens and underscores for the id,"
            " and begin and end it with a letter or digit."
        )
    if agent_id in RESERVED:
        raise Refused(f"The id {agent_id} is a word in the studio's own addresses. Choose another.")
    agent = Agent(id=agent_id, schema_name=schema_name(agent_id), **fields)
    try:
        with transaction.atomic():
            # without force_insert an id that is taken would change that agent
            agent.save(force_insert=True)
            _create_schema(agent.schema_name)
            memory_settings.create(actor, agent)
            database_role.ensure(agent)
            record(actor, "agent.create", agent=agent, object=agent.name)
    except (IntegrityError, ProgrammingError, ValidationError) as error:
        if _is_taken(agent.schema_name):
            raise Refused(f"The id {agent_id} is taken, or differs from another only in - and _.") from error
        raise
    return agent


def edit_agent(actor: Actor, agent: Agent, **fields: Any) -> dict[str, list[str]]:
    """Save changed fields of an agent and return them as {field: [before, after]}."""
    changes = {
        name: [getattr(agent, name), fields[name]]
        for name in EDITABLE
        if name in fields and fields[name] != getattr(agent, name)
    }
    if not changes:
        return {}
    moves = "framework" in changes
    if moves:
        # the sessions that are ended first stay ended
        prove(actor)
    with database_role.closed(agent) if moves else nullcontext(set[int]()) as ended, transaction.atomic():
        for name, (_, after) in changes.items():
            setattr(agent, name, after)
        agent.save(update_fields=list(changes))
        if moves:
            database_role.ensure(agent)
            writing.settle(agent)
        record(
            actor,
            "agent.edit",
            agent=agent,
            object=agent.name,
            data={"changes": changes, **database_role.data_of(ended)},
        )
    return changes


def remove_agent(
    actor: Actor, agent: Agent, *, count: Callable[[Agent], dict[str, int] | None] | None = None, reason: str = ""
) -> None:
    """Drop the agent's schema with all its threads, its role and its row; what `count` returns goes into the event."""
    tombstones.ready()
    prove(actor)
    with database_role.closed(agent) as ended, ExitStack() as stack:
        # while nobody can be in its way, or write
        counts = count(agent) if count else None
        stack.enter_context(transaction.atomic())
        # before the audit log's lock, because whoever saves settings takes the two in this order
        MemorySettings.objects.select_for_update().filter(agent=agent).first()
        with connection.cursor() as cursor:
            # a large schema takes longer to drop than a page may wait
            cursor.execute("set local statement_timeout = '60s'")
            with patient("60s"):
                cursor.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(agent.schema_name)))
        database_role.drop(agent)
        # last, because it takes the audit log's lock, and every other change waits for that
        event = record(
            actor,
            "agent.remove",
            agent=agent,
            object=agent.name,
            data={"counts": counts or {}, **database_role.data_of(ended)},
            reason=reason,
        )
        tombstones.note_removal(event, agent)
        agent.delete()


def migrate(schema: str) -> None:
    """Run the migrations that an agent's schema lacks."""
    call_command("migrate_schemas", TENANT_APP, tenant=True, schema_name=schema, interactive=False, verbosity=0)


def lacks_tables(error: BaseException) -> bool:
    """Tell whether a read failed because the agent's schema, or a part of it, is not there."""
    return isinstance(error.__cause__, errors.UndefinedTable | errors.InvalidSchemaName | errors.UndefinedFunction)


def _is_taken(schema: str) -> bool:
    """Tell whether an agent has the schema, or the database has it without an agent."""
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from pg_catalog.pg_namespace where nspname = %s)", [schema])
        return bool(cursor.fetchone()[0]) or Agent.objects.filter(schema_name=schema).exists()


def _create_schema(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))
    try:
        migrate(name)
    except MigrationSchemaMissing as error:
        # The first table could not be created, for example on a full disk. The answer is 503 and not 500.
        raise OperationalError(str(error)) from error
