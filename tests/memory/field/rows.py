"""Rows as other people's programs write them, and what the studio says of them on its pages and in its API."""

import json
import time
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client
from django_tenants.utils import schema_context

from memory.index import feed
from studio.models import Agent
from tests.calls import Api
from tests.reading import text

NOW = int(time.time())
_SESSION = """
    insert into agno_sessions (session_id, session_type, user_id, runs, session_data, created_at, updated_at)
    values (%s, %s, %s, %s, %s, %s, %s)"""
_RUN = """
    insert into agno_runs
        (run_id, session_id, run_type, user_id, parent_run_id, status, run_index, run_data, created_at)
    values (%s, %s, 'agent', %s, %s, %s, %s, %s, %s)"""


@dataclass
class Studio:
    """One agent's rows, and what a reader and a program see of them."""

    agent: Agent
    page: Client
    api: Api

    def thread(self, session_id: str, runs: Any, user_id: str | None = "ola", at: int = NOW, **more: Any) -> None:
        """Write a thread as agno 2.5 does; `runs` is what its column holds."""
        data = json.dumps(more["session_data"]) if "session_data" in more else None
        updated = more.get("updated_at", at)
        values = [session_id, more.get("type", "agent"), user_id, json.dumps(runs), data, at, updated]
        self._write(_SESSION, values)

    def table(self, session_id: str, runs: list[dict[str, Any]], user_id: str | None = "ola", **more: Any) -> None:
        """Write a thread as agno 3.1 does; a run's `index` is its row's run_index."""
        self.thread(session_id, None, user_id, **more)
        for n, run in enumerate(runs):
            self.run(session_id, run, run.pop("index", n))

    def run(self, session_id: str, run: dict[str, Any], index: int) -> None:
        """Write one row of the table."""
        columns = [run.get(name) for name in ("user_id", "parent_run_id", "status")]
        self._write(_RUN, [run["run_id"], session_id, *columns, index, json.dumps(run), run.get("created_at", NOW)])

    def both(self, session_id: str, runs: list[dict[str, Any]], where: str, **more: Any) -> None:
        (self.table if where == "table" else self.thread)(session_id, runs, **more)

    def _write(self, statement: str, values: list[Any]) -> None:
        with schema_context(self.agent.schema_name):
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
            feed.fold_all()

    def listed(self, query: str = "") -> str:
        return text(self.page.get(f"/agents/{self.agent.pk}/threads/{query}"))

    def transcript(self, session_id: str, query: str = "") -> str:
        return text(self.page.get(f"/agents/{self.agent.pk}/threads/{session_id}/{query}"))

    def runs(self, session_id: str, query: str = "") -> str:
        """The text of the runs alone, without what the page says about the thread."""
        shown = self.page.get(f"/agents/{self.agent.pk}/threads/{session_id}/{query}").content.decode()
        return text(shown[shown.index('id="runs"') : shown.index("<aside")])

    def file(self, address: str) -> str:
        return b"".join(self.page.get(address)).decode()

    def download(self, session_id: str) -> str:
        return self.file(f"/agents/{self.agent.pk}/threads/{session_id}/export/")

    def found(self, **query: Any) -> list[str]:
        """Ids of the threads that the API lists."""
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return [one["session_id"] for one in self.api.get(f"agents/{self.agent.pk}/threads?{asked}")["items"]]

    def read(self, session_id: str, part: str = "") -> Any:
        return self.api.get(f"agents/{self.agent.pk}/threads/{session_id}{part}")


def said(role: str, content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def turn(run_id: str, question: str, answer: str, **more: Any) -> dict[str, Any]:
    """A run of one question and its answer, without a time unless one is given."""
    messages = [said("user", question), said("assistant", answer)]
    return {"run_id": run_id, "agent_id": "a", "status": "COMPLETED", "content": answer, "messages": messages, **more}
