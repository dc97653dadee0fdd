"""Agno in a process of its own: make its stock tables, serve AgentOS, or write as an agent does.

argv[1] is {"do": name, ...}. It runs inside an environment that the requirements beside describe,
so it imports nothing of the studio.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("AGNO_TELEMETRY", "false")
os.environ.setdefault("OPENAI_API_KEY", "none")

from agno.agent import Agent
from agno.db.postgres import PostgresDb
from agno.run.agent import RunOutput
from agno.session.agent import AgentSession


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
    """Print milliseconds of one turn's write, by size of the thread and by target, taken in turns."""
    stored = json.loads(Path(runs).read_text())
    databases = {name: database(*where) for name, where in targets.items()}
    prefix = thread.pop("session_id")
    found: dict[int, dict[str, list[float]]] = {}
    for size, times in ((int(size), times) for size, times in rounds.items()):
        taken = found[size] = {name: [] for name in databases}
        session = AgentSession.from_dict({**thread, "session_id": f"{prefix}-{size}", "runs": stored[:size]})
        in_table = hasattr(next(iter(databases.values())), "upsert_run")
        for db in databases.values():
            db.upsert_session(session)
            for index, run in enumerate(session.runs if in_table else []):
                db.upsert_run(run, session.session_id, user_id=run.user_id, run_index=index)
        for number in range(times + 3):
            # the first in a pair meets colder caches, so they take turns in that, too
            for name, db in list(databases.items())[:: 1 if number % 2 else -1]:
                run = RunOutput.from_dict({**stored[size - 1], "run_id": f"{prefix}-{size}-{number}"})
                start = time.perf_counter()
                if in_table:
                    db.upsert_run(run, session.session_id, user_id=run.user_id, run_index=size + number)
                else:
                    session.runs[-1] = run
                    db.upsert_session(session)
                taken[name].append((time.perf_counter() - start) * 1000)
        for name in taken:
            taken[name] = taken[name][3:]
    print(json.dumps(found))


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    {"tables": tables, "serve": serve, "writes": writes}[task.pop("do")](**task)
