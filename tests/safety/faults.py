"""A studio of its own with the bundled Postgres, for tests that break things."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from studio import postgres
from studio.ids import schema_name
from tests.studio.serve.running import ROOT, Studio, environment, running
from tests.world import NOW

KEYS = ("settings:write", "threads:read", "threads:delete", "agents:read", "admin")


@dataclass
class Breakable:
    """A running studio, with an API key for everything and a connection as the studio's role."""

    studio: Studio
    data_dir: Path
    env: dict[str, str]
    key: str = ""

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def api(self, method: str, path: str, body: Any = None, timeout: float = 30, **headers: str) -> httpx.Response:
        sent = {"x-api-key": self.key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = f"{self.studio.url}/api/{path}"
        return httpx.request(method, url, json=body, headers=sent, timeout=timeout)

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(postgres.dsn(self.data_dir), autocommit=True) as connection:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def create_agent(self, agent_id: str) -> str:
        """Make an agno agent and return its schema."""
        code = (
            "from studio.agents import provision; from studio.audit.record import Actor;"
            f"provision.create_agent(Actor.system(), agent_id={agent_id!r}, name={agent_id!r})"
        )
        self.manage("shell", "--no-imports", "--command", code)
        return schema_name(agent_id)

    def fill(self, schema: str, threads: int) -> None:
        """Write threads of two runs each, every second one in the table."""
        runs = json.dumps([{"run_id": "x", "content": "a"}, {"run_id": "y", "content": "b"}])
        self.sql(
            f"insert into {schema}.agno_sessions (session_id, session_type, user_id, runs, created_at)"
            " select 't' || n, 'agent', 'user' || n %% 7, case n %% 2 when 0 then %s::jsonb end, %s"
            " from generate_series(1, %s) n",
            runs,
            NOW,
            threads,
        )
        self.sql(
            f"insert into {schema}.agno_runs (run_id, session_id, run_type, run_data, created_at)"
            " select s.session_id || '-' || i, s.session_id, 'agent', '{}', %s"
            f" from {schema}.agno_sessions s, generate_series(1, 2) i where s.runs is null",
            NOW,
        )


@contextmanager
def breakable(data_dir: Path, key: str = "", **more: str) -> Iterator[Breakable]:
    """Start a studio; `key` is an API key that its database already has."""
    more = {"API_REQUESTS_PER_MINUTE": "1000000", **more}
    with running(data_dir, **more) as studio:
        port = studio.url.rpartition(":")[2]
        thing = Breakable(studio, data_dir, {**environment(data_dir, **more), "PORT": port}, key)
        if not key:
            scopes = [word for scope in KEYS for word in ("--scope", scope)]
            thing.key = thing.manage("api_key", "create", "--name", "faults", *scopes).split()[-1]
        yield thing
