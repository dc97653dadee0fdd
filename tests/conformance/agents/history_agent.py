"""An agent's process that says what a model is sent of threads that are stored already, and writes nothing.

argv[1] is {"dsn"}. Each line of standard input is an ask: {"schema", "session_id", "reader", "asynchronous", "speaker",
"settings"}. Each line of the answer is {"called", "sent", "summary"}. It runs inside an environment of environments.py,
so it imports nothing of the studio.
"""

import asyncio
import json
import logging
import re
import sys
from dataclasses import dataclass, field
from typing import Any

from agno.agent import Agent
from agno.db.postgres import AsyncPostgresDb, PostgresDb
from agno.models.message import Message
from agno.models.response import ModelResponse
from agno.team import Team
from echo import Echo

SUMMARY = re.compile(r"<summary_of_previous_interactions>\n(.*)\n</summary_of_previous_interactions>", re.DOTALL)


@dataclass
class Recorder(Echo):
    """A model that keeps what it was handed first, and answers with one word."""

    handed: list[Message] = field(default_factory=list)

    def invoke(self, messages: list[Message], **more: Any) -> ModelResponse:
        self.handed = self.handed or list(messages)
        return ModelResponse(role="assistant", content="Yes")


class Databases:
    """Handles on schemas that read as an agent's do, and write nothing."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._made: dict[tuple[str, bool], Any] = {}

    def get(self, schema: str, asynchronous: bool) -> Any:
        if (schema, asynchronous) not in self._made:
            driver = "postgresql+psycopg_async" if asynchronous else "postgresql+psycopg"
            url = self.dsn.replace("postgresql", driver, 1)
            db: Any = (AsyncPostgresDb if asynchronous else PostgresDb)(db_url=url, db_schema=schema)
            for name in ("upsert_session", "upsert_run", "upsert_runs"):
                if hasattr(db, name):
                    setattr(db, name, nothing_async if asynchronous else nothing)
            self._made[schema, asynchronous] = db
        return self._made[schema, asynchronous]


def nothing(*values: Any, **more: Any) -> None:
    """Stand in for a write."""


async def nothing_async(*values: Any, **more: Any) -> None:
    """Stand in for a write."""


def plain(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "result_of": message.tool_call_id,
        "calls": [call.get("id") for call in message.tool_calls or []],
    }


async def told(ask: dict[str, Any], db: Any) -> dict[str, Any]:
    """Run one turn, and return what the model was handed of the thread."""
    model = Recorder()
    settings = {name: value for name, value in ask["settings"].items() if value is not None}
    if ask["reader"] == "team":
        members = [Agent(id="member", name="Member", model=Echo(), telemetry=False)]
        runner: Any = Team(id="bot", members=members, model=model, db=db, telemetry=False, **settings)
    else:
        runner = Agent(id="bot", model=model, db=db, telemetry=False, **settings)
    named = {"session_id": ask["session_id"], "user_id": ask["speaker"]}
    try:
        await runner.arun("And now?", **named) if ask["asynchronous"] else runner.run("And now?", **named)
    except Exception as error:
        if model.handed:
            print(f"after the model was called: {error!r}", file=sys.stderr)
    system = " ".join(str(message.content) for message in model.handed if not message.from_history)
    summary = SUMMARY.search(system)
    sent = [plain(message) for message in model.handed if message.from_history]
    return {"called": bool(model.handed), "sent": sent, "summary": summary and summary[1]}


async def main(databases: Databases) -> None:
    for line in sys.stdin:
        ask = json.loads(line)
        answer = await told(ask, databases.get(ask["schema"], ask["asynchronous"]))
        print("ANSWER", json.dumps(answer, default=str), flush=True)


logging.disable(logging.CRITICAL)
asyncio.run(main(Databases(**json.loads(sys.argv[1]))))
