"""Build every thread of an agent and copy the rows into its schema."""

import json
from collections.abc import Iterable
from random import Random
from typing import Final

from django.db import connection, transaction
from django_tenants.utils import schema_context
from psycopg import sql

from memory.demo import research, support, webhooks
from memory.demo.cast import RESEARCH, SUPPORT, WEBHOOK
from memory.demo.sessions import Thread, build
from memory.demo.shapes import Json
from studio.models import Agent

_SEED: Final = 20_260
_JSON: Final = ("session_data", "agent_data", "team_data", "workflow_data", "metadata", "runs", "summary", "run_data")
# Agno names these columns in its upsert: an empty one is JSON null there, in the others SQL NULL
_JSON_NULL: Final = ("metadata", "summary")


def threads(agent_id: str, now: float) -> list[Thread]:
    """Make the threads of a demo agent, the same ones for the same `now` (epoch seconds)."""
    rng = Random(f"{_SEED} {agent_id}")
    if agent_id == SUPPORT.id:
        return [build(plan, rng) for plan in support.plans(rng, now)]
    if agent_id == RESEARCH.id:
        return [build(plan, rng) for plan in research.plans(rng, now)]
    if agent_id == WEBHOOK.id:
        return [*(build(plan, rng) for plan in webhooks.plans(rng, now)), webhooks.backfill(rng, now)]
    return []


def write(agent: Agent, made: list[Thread]) -> None:
    """Copy threads into the agent's schema, in one transaction; its triggers index them."""
    with transaction.atomic(), schema_context(agent.schema_name):
        _copy("agno_sessions", [thread.session for thread in made])
        _copy("agno_runs", [run for thread in made for run in thread.runs])


def _copy(table: str, rows: list[Json]) -> None:
    if not rows:
        return
    columns = tuple(rows[0])
    command = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            copy.write_row(_values(row))


def _values(row: Json) -> Iterable[object]:
    for name, value in row.items():
        if name in _JSON and (value is not None or name in _JSON_NULL):
            yield json.dumps(value, ensure_ascii=False)
        else:
            yield value
