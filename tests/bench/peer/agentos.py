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
from sqlalchemy import text

REST_SECONDS = 0.003


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


def writes(
    targets: dict[str, list[str]], thread: dict[str, Any], runs: str, blocks: dict[str, tuple[int, int]]
) -> None:
    """Print µs of one turn's write, by kind, size of the thread and target: blocks of writes, taken in turns."""
    stored = json.loads(Path(runs).read_text())
    databases = {name: database(*where) for name, where in targets.items()}
    prefix = thread.pop("session_id")
    found = []
    for size, (times, block) in ((int(size), blocks) for size, blocks in blocks.items()):
        session = AgentSession.from_dict({**thread, "session_id": f"{prefix}-{size}", "runs": stored[:size]})
        for db in databases.values():
            prepare(db, session)
        for write, do in kinds(session, stored[size - 1]).items():
            taken = {name: [] for name in databases}, {name: [] for name in databases}
            for number in range(times + 1):
                # the first in a pair meets colder caches, so they take turns in that, too
                for name, db in list(databases.items())[:: 1 if number % 2 else -1]:
                    cpu, wall = timed(db, do, [f"{prefix}-{size}-{write}-{number}-{one}" for one in range(block)])
                    # the first round warms up
                    if number:
                        taken[0][name].append(cpu)
                        taken[1][name].append(wall)
            found.append({"write": write, "runs": size, "cpu": taken[0], "wall": taken[1]})
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


def timed(db: PostgresDb, do: Callable[[PostgresDb, str], object], ids: list[str]) -> tuple[float, float]:
    """Write once for each id; µs of one write, of the backend's CPU and by the clock."""
    with db.db_engine.connect() as connection:
        backend = connection.execute(text("select pg_backend_pid()")).scalar()
    time.sleep(REST_SECONDS)
    cpu, start = spent(backend), time.perf_counter()
    for one in ids:
        do(db, one)
    wall = time.perf_counter() - start
    # what it does after its answer is part of the write
    time.sleep(REST_SECONDS)
    return (spent(backend) - cpu) / len(ids) / 1e3, wall / len(ids) * 1e6


def spent(pid: int) -> int:
    """Nanoseconds of CPU of a process; the clock where the system does not tell."""
    told = Path(f"/proc/{pid}/schedstat")
    return int(told.read_text().split()[0]) if told.exists() else time.perf_counter_ns()


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    {"tables": tables, "serve": serve, "writes": writes}[task.pop("do")](**task)
