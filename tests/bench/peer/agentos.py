"""Agno in a process of its own: make its stock tables, serve AgentOS, or write as an agent does.

argv[1] is {"do": name, ...}. It runs inside an environment that the requirements beside describe,
so it imports nothing of the studio.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("AGNO_TELEMETRY", "false")
os.environ.setdefault("OPENAI_API_KEY", "none")

from agno.agent import Agent
from agno.db.postgres import PostgresDb
from agno.run.agent import RunOutput
from agno.session.agent import AgentSession
from sqlalchemy import event

REST_SECONDS = 0.002
WARM_UP = 5


def database(dsn: str, schema: str) -> PostgresDb:
    return PostgresDb(db_url=dsn.replace("postgresql", "postgresql+psycopg", 1), db_schema=schema)


def tables(dsn: str, schema: str) -> None:
    """Make all tables with the library's own indexes."""
    database(dsn, schema)._create_all_tables()


def serve(dsn: str, schema: str, port: int) -> None:
    import uvicorn
    from agno.os import AgentOS

    agent = Agent(id="bench", name="Bench", db=database(dsn, schema), telemetry=False)
    app = AgentOS(agents=[agent], telemetry=False).get_app()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def writes(targets: dict[str, list[str]], thread: dict[str, Any], runs: str, rounds: dict[str, int]) -> None:
    """Print µs of one turn's writes, by kind, size of the thread and target, which take turns."""
    stored = json.loads(Path(runs).read_text())
    databases = {name: database(*where) for name, where in targets.items()}
    prefix = thread.pop("session_id")
    found = []
    for size, times in ((int(size), times) for size, times in rounds.items()):
        session = AgentSession.from_dict({**thread, "session_id": f"{prefix}-{size}", "runs": stored[:size]})
        for db in databases.values():
            prepare(db, session)
        for write, do in kinds(session, stored[size - 1]).items():
            taken: dict[str, list[float]] = {name: [] for name in databases}
            for number in range(WARM_UP + times):
                # the first in a pair meets colder caches, so they take turns in that, too
                for name, db in list(databases.items())[:: 1 if number % 2 else -1]:
                    taken[name].append(timed(db, do, f"{prefix}-{size}-{write}-{number}"))
            told = {name: one[WARM_UP:] for name, one in taken.items()}
            found.append({"write": write, "runs": size, "cpu": told})
    print(json.dumps(found))


def kinds(session: AgentSession, run: dict[str, Any]) -> dict[str, Callable[[PostgresDb, str], object]]:
    """The writes of one turn that this version knows; each takes the database and a new id."""
    last = session.runs[-1]

    def column(db: PostgresDb, run_id: str) -> None:
        session.runs[-1] = RunOutput.from_dict({**run, "run_id": run_id})
        db.upsert_session(session)

    def new(db: PostgresDb, run_id: str) -> None:
        one = RunOutput.from_dict({**run, "run_id": run_id})
        db.upsert_run(one, session.session_id, user_id=one.user_id, run_index=len(session.runs))

    def again(db: PostgresDb, run_id: str) -> None:
        db.upsert_run(last, session.session_id, user_id=last.user_id, run_index=len(session.runs) - 1)

    if not hasattr(PostgresDb, "upsert_run"):
        return {"upsert_session": column}
    return {
        "upsert_run": new,
        "upsert_run again": again,
        "upsert_session": lambda db, run_id: db.upsert_session(session),
    }


def prepare(db: PostgresDb, session: AgentSession) -> None:
    db.upsert_session(session)
    for index, run in enumerate(session.runs if hasattr(db, "upsert_run") else []):
        db.upsert_run(run, session.session_id, user_id=run.user_id, run_index=index)


def timed(db: PostgresDb, do: Callable[[PostgresDb, str], object], run_id: str) -> float:
    """Write once; µs of the backend's CPU from the statement that writes on, its commit included."""
    began: list[int] = []
    backend = 0

    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal backend
        # what the library asks before, e.g. whether its tables are there, is no part of the write
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE")):
            backend = cursor.connection.info.backend_pid
            began.append(spent(backend))

    event.listen(db.db_engine, "before_cursor_execute", before)
    try:
        do(db, run_id)
    finally:
        event.remove(db.db_engine, "before_cursor_execute", before)
    # what it does after its answer is part of the write
    time.sleep(REST_SECONDS)
    return (spent(backend) - began[0]) / 1e3


def spent(pid: int) -> int:
    """Nanoseconds of CPU of a process; the clock where the system does not tell."""
    told = Path(f"/proc/{pid}/schedstat")
    return int(told.read_text().split()[0]) if told.exists() else time.perf_counter_ns()


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    {"tables": tables, "serve": serve, "writes": writes}[task.pop("do")](**task)
