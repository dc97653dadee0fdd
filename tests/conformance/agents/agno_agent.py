"""An agent's process, with the real Agno: takes steps as JSON, prints one JSON object of what they gave.

argv[1] is {"dsn", "schema", "asynchronous", "steps": [{"do": name, ...}]}. It runs inside an
environment of environments.py, so it imports nothing of the studio.
"""

import asyncio
import inspect
import json
import sys
from typing import Any

from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.postgres import AsyncPostgresDb, PostgresDb
from agno.run.base import RunStatus
from agno.team import Team
from agno.workflow import Step, Workflow
from echo import Echo, look_up, plain
from worries import Worries


def report(run: Any) -> dict[str, Any]:
    """What the library says of a run, and of the runs inside one of a team or a workflow."""
    inside = [*(getattr(run, "member_responses", None) or []), *(getattr(run, "step_executor_runs", None) or [])]
    return {
        "run_id": run.run_id,
        "parent_run_id": getattr(run, "parent_run_id", None),
        "user_id": getattr(run, "user_id", None),
        "status": getattr(run.status, "value", run.status),
        "content": run.content,
        "messages": [
            plain(message)
            for message in getattr(run, "messages", None) or []
            if message.role != "system" and not message.from_history
        ],
        "tool_calls": len(getattr(run, "tools", None) or []),
        "inside": [report(member) for member in inside],
    }


class Studio:
    """The steps, on one database handle as an agent's process has it."""

    def __init__(self, dsn: str, schema: str, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        driver = "postgresql+psycopg_async" if asynchronous else "postgresql+psycopg"
        self.db: Any = (AsyncPostgresDb if asynchronous else PostgresDb)(
            db_url=dsn.replace("postgresql", driver, 1), db_schema=schema
        )

    def agent(self, **settings: Any) -> Agent:
        return Agent(
            id="support", name="Support", model=Echo(), db=self.db, tools=[look_up], telemetry=False, **settings
        )

    async def run(self, runner: Any, text: str, **ids: Any) -> Any:
        return await runner.arun(text, **ids) if self.asynchronous else runner.run(text, **ids)

    async def ask(self, name: str, *values: Any, **more: Any) -> Any:
        answer = getattr(self.db, name)(*values, **more)
        return await answer if inspect.isawaitable(answer) else answer

    async def talk(
        self, texts: list[str], session_id: str, user_id: str | None = None, **settings: Any
    ) -> list[list[dict[str, Any]]]:
        """Say texts one after another; return what the model was sent at the first request of each."""
        heard = []
        for text in texts:
            agent = self.agent(add_history_to_context=True, **settings)
            await self.run(agent, text, session_id=session_id, user_id=user_id)
            heard.append(agent.model.sent[0])
        return heard

    async def team(self, texts: list[str], session_id: str, user_id: str) -> None:
        team = Team(
            id="desk",
            name="Desk",
            members=[Agent(id="clerk", name="Clerk", model=Echo(), tools=[look_up])],
            model=Echo(),
            db=self.db,
            telemetry=False,
        )
        for text in texts:
            await self.run(team, text, session_id=session_id, user_id=user_id)

    async def workflow(self, texts: list[str], session_id: str, user_id: str) -> None:
        steps = [Step(name="answer", agent=self.agent())]
        flow = Workflow(id="flow", name="Flow", steps=steps, db=self.db, telemetry=False)
        for text in texts:
            await self.run(flow, text, session_id=session_id, user_id=user_id)

    async def talk_until_told(self, text: str, session_id: str, user_id: str) -> bool:
        """Begin a run, say so on stdout, and let its model answer when a line comes in on stdin."""
        agent = self.agent()
        agent.model.invoke = waiting(agent.model.invoke)
        output = await self.run(agent, text, session_id=session_id, user_id=user_id)
        return bool(output.content)

    async def next_second(self) -> None:
        """Wait until a new thread is younger than a deletion that was just made; Agno counts in seconds."""
        await asyncio.sleep(1.1)

    async def share(self, session_id: str, users: list[str]) -> None:
        """Give the runs of a thread without an owner to users in turn, which Agno 2 has no other way for."""
        session = await self.session(session_id)
        for number, run in enumerate(session.runs):
            run.user_id = users[number % len(users)]
        await self.ask("upsert_session", session)

    async def end(self, session_id: str, number: int, status: str) -> None:
        """Let a run have ended in another way."""
        session = await self.session(session_id)
        run = session.runs[number]
        run.status = RunStatus(status)
        if hasattr(self.db, "upsert_run"):
            await self.ask("upsert_run", run, session_id, user_id=run.user_id)
        else:
            await self.ask("upsert_session", session)

    async def rename(self, session_id: str, name: str) -> None:
        await self.ask("rename_session", session_id=session_id, session_type=SessionType.AGENT, session_name=name)

    async def upsert(self, session_id: str) -> None:
        """Read a thread and write it back as it is."""
        await self.ask("upsert_session", await self.session(session_id))

    async def migrate(self, to: str | None = None, down: bool = False) -> None:
        """Upgrade the tables as the release notes of Agno 3 ask for, or move those of threads to a version."""
        from agno.db.migrations.manager import MigrationManager

        manager = MigrationManager(self.db)
        await (manager.down if down else manager.up)(to, **({"table_type": "sessions"} if to else {}))

    async def clean_up(self) -> bool:
        """Drop the column of runs, which Agno 3 keeps until it is told to."""
        return await self.ask("cleanup_legacy_runs_column", force=True)

    async def delete(self, session_id: str) -> bool:
        return await self.ask("delete_session", session_id=session_id)

    async def sessions(self, user_id: str | None = None) -> list[str]:
        """The ids of all threads, or of a user's own."""
        found = await self.ask("get_sessions", session_type=SessionType.AGENT, user_id=user_id)
        return sorted(session.session_id for session in found)

    async def session(self, session_id: str, session_type: str = "agent") -> Any:
        return await self.ask("get_session", session_id=session_id, session_type=SessionType(session_type))

    async def read(self, session_id: str, session_type: str = "agent") -> dict[str, Any] | None:
        """What the library reports of a thread; None when it sees none."""
        session = await self.session(session_id, session_type)
        if session is None:
            return None
        runs = session.runs or []
        metrics = (session.session_data or {}).get("session_metrics") or {}
        return {
            "session_type": session_type,
            "user_id": session.user_id,
            "name": (session.session_data or {}).get("session_name"),
            "summary": session.summary.summary if getattr(session, "summary", None) else None,
            "tokens": [metrics.get("input_tokens", 0), metrics.get("output_tokens", 0)],
            "messages": [plain(message) for message in session.get_messages(skip_roles=["system"], skip_statuses=[])]
            if session_type == "agent"
            else [],
            "runs": [report(run) for run in runs],
        }

    async def close(self) -> None:
        answer = self.db.close()
        if inspect.isawaitable(answer):
            await answer


def waiting(invoke: Any) -> Any:
    def wait(*values: Any, **more: Any) -> Any:
        print("begun", flush=True)
        sys.stdin.readline()
        return invoke(*values, **more)

    return wait


async def main(dsn: str, schema: str, asynchronous: bool, steps: list[dict[str, Any]]) -> list[Any]:
    studio = Studio(dsn, schema, asynchronous)
    try:
        return [await getattr(studio, step.pop("do"))(**step) for step in steps]
    finally:
        await studio.close()


if __name__ == "__main__":
    worries = Worries()
    answers = asyncio.run(main(**json.loads(sys.argv[1])))
    print(json.dumps({"answers": answers, "worries": worries.lines}))
