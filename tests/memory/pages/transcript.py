"""One thread, and the parts of its page."""

import re
from typing import Any
from urllib.parse import quote

from django.urls import reverse

from studio.models import AuditEvent
from tests.world import run


def address(session_id: str = "s", agent: str = "agt-ada", **query: str) -> str:
    path = reverse("thread", args=[agent, session_id])
    return path + ("?" + "&".join(f"{name}={quote(value)}" for name, value in query.items()) if query else "")


def articles(page: str) -> list[str]:
    return re.findall(r'<article[^>]*\sid="run-([^"]*)"', page)


def events(action: str = "thread.read") -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("id"))


def agno(run_id: str, text: str = "Hello", answer: str = "Hi there", **more: Any) -> dict[str, Any]:
    return run(run_id, text, answer, **{"agent_id": "a", **more})
