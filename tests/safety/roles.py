"""A running studio whose agents have database roles."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from studio.ids import schema_name
from tests.markup import Page
from tests.server import ServedAgent, StudioServer

NOW = int(time.time())


@dataclass
class Studio:
    """The running studio as an admin and a program with a key use it; faster than manage.py."""

    server: StudioServer
    browser: httpx.Client
    api: httpx.Client

    def create(self, agent_id: str, **fields: str) -> ServedAgent:
        answer = self.api.post("/agents", json={"id": agent_id, "name": agent_id, **fields})
        assert answer.status_code == 201, answer.text
        dsn = self.dsn(agent_id) if answer.json()["framework"] == "agno" else ""
        return ServedAgent(agent_id, schema_name(agent_id), dsn)

    def dsn(self, agent_id: str) -> str:
        return str(self.api.get(f"/agents/{agent_id}/db").json()["connection_uri"]["uri"])

    def rotate(self, agent: ServedAgent) -> None:
        page = self.browser.get(f"/agents/{agent.id}/connection/password/")
        form = next(form for form in Page(page.text).forms if form.method == "post" and not form.action)
        assert "was changed" in form.send(self.browser, page).text

    def edit(self, agent: ServedAgent, **values: str) -> None:
        page = self.browser.get(f"/agents/{agent.id}/edit/")
        form = next(form for form in Page(page.text).forms if "model_name" in form.fields)
        assert "Saved." in form.send(self.browser, page, **values).text

    def remove(self, agent: ServedAgent) -> None:
        assert self.api.delete(f"/agents/{agent.id}").status_code == 204

    def end_sessions(self, agent: ServedAgent) -> None:
        self.sql(
            "with theirs as materialized (select pid from pg_stat_activity where usename = %s)"
            " select pg_terminate_backend(pid) from theirs",
            role_of(agent),
        )

    def sql(self, query: str, *parameters: Any, schema: str = "public") -> list[tuple[Any, ...]]:
        return self.server.sql(query, *parameters, schema=schema)

    def fold(self, schema: str) -> None:
        self.server.fold(schema)


def role_of(agent: ServedAgent) -> str:
    return urlsplit(agent.dsn).username or ""


def insert_thread(connection: psycopg.Connection, session_id: str) -> None:
    connection.execute(
        "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', %s)", [session_id, NOW]
    )
