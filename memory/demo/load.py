"""Loading the demo's agents and recorded threads, with their times moved to now."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone
from django_tenants.utils import schema_context
from psycopg import sql

from studio.agents import memory_settings, provision
from studio.audit.record import Actor
from studio.models import Agent

Json = dict[str, Any]

_HERE: Final = Path(__file__).parent
AGENTS: Final[list[Json]] = json.loads((_HERE / "agents.json").read_text(encoding="utf-8"))
_DATES: Final[Json] = json.loads((_HERE / "dates.json").read_text(encoding="utf-8"))
_DAY: Final = 86400
_SECONDS: Final = re.compile(r'(_(?:at|time)\\*": ?)(\d{10})(?!\d)')
# A time, day or month. After a digit and a hyphen it is part of a name, as in gpt-4o-2024-08-06.
_WRITTEN: Final = re.compile(r'20(?<![\d-]20)\d\d([-/])[01]\d(?:\1[0-3]\d(?:[T ]\d\d:\d\d:\d\d)?|(?=\\*"))')
_MARK: Final = re.compile(r"\{\{(day|month|year)([+-]\d+)?\}\}")
# Agno names these columns in its upsert, so an empty one is JSON null; in all others it is SQL NULL
_JSON_NULL: Final = ("metadata", "summary")


def missing() -> list[Json]:
    """List the demo agents that do not exist."""
    there = set(Agent.objects.filter(pk__in=[one["id"] for one in AGENTS]).values_list("pk", flat=True))
    return [one for one in AGENTS if one["id"] not in there]


def remove() -> list[str]:
    """Remove the demo agents that exist, with everything in them, and return their names."""
    agents = list(Agent.objects.filter(pk__in=[one["id"] for one in AGENTS]))
    for agent in agents:
        provision.remove_agent(Actor.system(), agent)
    return [agent.name for agent in agents]


def add(one: Json) -> int:
    """Add one demo agent in one transaction, and return the number of its threads."""
    made = threads(one, int(timezone.now().timestamp()))
    with transaction.atomic():
        agent = provision.create_agent(Actor.system(), agent_id=one["id"], **one["fields"])
        # by whom and when is the truth, as in the audit log: the studio, now
        for version, values in enumerate(one["saves"], start=1):
            memory_settings.save(Actor.system(), agent, values, version)
        with schema_context(agent.schema_name):
            _copy("agno_sessions", [thread["session"] for thread in made])
            _copy("agno_runs", [run for thread in made for run in thread["runs"]])
    return len(made)


def threads(one: Json, now: int) -> list[Json]:
    """Read an agent's recorded threads as if they had been recorded now."""
    if not one["threads"]:
        return []
    with (_HERE / one["threads"]).open(encoding="utf-8") as lines:
        return [move(line, now) for line in lines]


def move(line: str, now: int) -> Json:
    """Read one recorded thread and move every time in it by the same span."""
    thread = json.loads(line)
    began, ended = thread["session"]["created_at"], thread["session"]["updated_at"]
    span = now - thread["recorded_at"]
    if thread["recorded_at"] - (ended or began) > _DAY:
        span -= span % _DAY
    start = _date(began + span)
    days = start - _date(began)

    def written(match: re.Match[str]) -> str:
        text = match[0]
        if len(text) > 10:
            return (datetime.fromisoformat(text) + timedelta(seconds=span)).isoformat(text[10])
        day = date.fromisoformat(f"{text}-15"[:10].replace("/", "-")) + days
        return day.isoformat()[: len(text)].replace("-", text[4])

    line = _SECONDS.sub(lambda match: f"{match[1]}{int(match[2]) + span}", line)
    line = _WRITTEN.sub(written, line)
    line = _MARK.sub(lambda match: _spoken(match[1], int(match[2] or 0), start, thread.get("lang", "en")), line)
    moved: Json = json.loads(line)
    return moved


def _date(at: int) -> date:
    return datetime.fromtimestamp(at, UTC).date()


def _spoken(unit: str, number: int, start: date, lang: str) -> str:
    """Write the day, month or year that is `number` of them after a thread's start, in words."""
    months = _DATES[lang]["months"]
    if unit == "year":
        return str(start.year + number)
    if unit == "month":
        return str(months[(start.month - 1 + number) % 12])
    day = start + timedelta(days=number)
    return str(_DATES[lang]["day"].format(d=day.day, m=months[day.month - 1]))


def _copy(table: str, rows: list[Json]) -> None:
    """Copy rows into a table of the current schema, where triggers index them."""
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    command = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            copy.write_row([_cell(name, row.get(name)) for name in columns])


def _cell(name: str, value: object) -> object:
    is_json = isinstance(value, dict | list) or (value is None and name in _JSON_NULL)
    return json.dumps(value, ensure_ascii=False) if is_json else value
