"""A real studio for tests: `manage.py serve` on a database, a port and a directory of its own.

Not pytest-django's live_server: that empties tables after each test, which the audit log refuses.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import environ
import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from studio import postgres
from studio.ids import schema_name
from tests.markup import Page
from tests.studio.serve.running import environment, running

ROOT = Path(__file__).resolve().parent.parent

CREATE_AGENT = """
import json
from studio.agents import connection, provision
from studio.audit.record import Actor
agent = provision.create_agent(Actor.system(), **json.loads({fields!r}))
print(connection.reveal(Actor.system(), agent) if agent.is_agno else "")
"""


@dataclass(frozen=True)
class ServedAgent:
    """An agent of the running studio; `dsn` is the DSN that it gets from the studio."""

    __test__ = False

    id: str
    schema: str
    dsn: str


@dataclass
class StudioServer:
    """A running studio. `dsn` is its own role's, who owns every table; `env` is for manage.py."""

    url: str
    dsn: str
    env: dict[str, str]
    said: list[str]
    _clients: list[httpx.Client] = field(default_factory=list)

    def manage(self, *arguments: str) -> str:
        """Run manage.py against this studio and return what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, f"manage.py {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def python(self, code: str, **values: Any) -> str:
        """Run code inside Django; `{name!r}` in it stands for a value as JSON text."""
        texts = {name: json.dumps(value) for name, value in values.items()}
        return self.manage("shell", "--no-imports", "--command", code.format(**texts))

    def create_agent(self, agent_id: str, **fields: Any) -> ServedAgent:
        """Make an agent as the studio's own page does."""
        dsn = self.python(CREATE_AGENT, fields={"agent_id": agent_id, "name": agent_id, **fields})
        return ServedAgent(agent_id, schema_name(agent_id), dsn.strip())

    def sign_in_link(self, email: str = "") -> str:
        """Make a one-time link, the first admin's unless another email is given."""
        return self.manage("sign_in_link", *(["--email", email] if email else [])).split()[-1]

    def client(self) -> httpx.Client:
        """Return a browser without JavaScript in which the admin has signed in through a link."""
        client = httpx.Client(base_url=self.url, follow_redirects=True, timeout=60)
        self._clients.append(client)
        page = client.get(self.sign_in_link())
        answer = Page(page.text).forms[0].send(client, page)
        assert answer.status_code == 200, f"{answer.url} answered {answer.status_code}"
        assert "session" in client.cookies, f"Not signed in after {answer.url}"
        return client

    def sql(self, query: str, *parameters: Any, schema: str = "public") -> list[tuple[Any, ...]]:
        """Run one statement in a schema, as the studio's role, and return its rows, if any."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("select set_config('search_path', %s, false)", [schema])
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def fold(self, schema: str) -> None:
        """Bring the thread index of a schema up to date, as a reader does."""
        while self.sql("select memory_fold(1000, false)", schema=schema) != [(0,)]:
            pass

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="session")
def studio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """One studio for all tests of a worker, without demo data."""
    with new_database() as dsn, serving(dsn, tmp_path_factory.mktemp("studio")) as server:
        yield server


@contextmanager
def serving(dsn: str, data_dir: Path, **more: str) -> Iterator[StudioServer]:
    """Serve a database, or with an empty `dsn` the bundled one; `more` are further environment variables."""
    more = {"DATABASE_URL": dsn, "SECRET_KEY": secrets.token_urlsafe(50), "WEB_WORKERS": "1", **more}
    with running(data_dir, **more) as studio:
        env = {**environment(data_dir, **more), "PORT": studio.url.rpartition(":")[2]}
        server = StudioServer(studio.url, dsn or postgres.dsn(data_dir), env, studio.lines)
        health = httpx.get(server.url + "/health", timeout=30)
        assert health.status_code == 200, f"/health answered {health.status_code}:\n{studio.said()}"
        try:
            yield server
        finally:
            server.close()


@contextmanager
def new_database() -> Iterator[str]:
    """Make an empty database on the tests' Postgres, yield its DSN, and drop it."""
    place = environ.Env.db_url_config(os.environ["DATABASE_URL"])
    keys = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    where = {name: str(place[key]) for name, key in keys.items()}
    name = f"server_{secrets.token_hex(6)}"
    with psycopg.connect(**where, dbname="postgres", autocommit=True) as connection:
        connection.execute(SQL("create database {}").format(Identifier(name)))
        # As the bundled Postgres has it: who is not named may not even connect.
        connection.execute(SQL("revoke all on database {} from public").format(Identifier(name)))
    try:
        yield "postgresql://{user}:{password}@{host}:{port}/".format(**where) + name
    finally:
        # the owner of a database may not end autovacuum's session in it
        with psycopg.connect(os.environ["TEST_SUPERUSER_URL"], autocommit=True) as connection:
            connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))
