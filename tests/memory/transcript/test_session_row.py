"""A thread's summary is the same, whether it is asked for or came with the runs."""

from typing import Any

import pytest
from django_tenants.utils import schema_context

from memory.transcript.session_row import get_summary, read_summary
from studio.models import Agent
from tests.world import run, write_thread

SUMMARIES = [
    {"summary": "They greeted.", "topics": ["greeting", 5, None, {"a": 1}], "updated_at": "2026-11-28T09:00:00"},
    {"summary": "x" * 9_000, "topics": [f"topic {n}" for n in range(30)]},
    {"summary": "data:image/png;base64," + "QUJD" * 400, "topics": "no list"},
    {"summary": "ü👩‍🚀" * 3_000},
    *({"summary": value} for value in ("", "  \n", None, 5, ["x"], {"a": 1})),
    {"topics": ["alone"]},
    {"summary": "Odd", "updated_at": 5},
]


@pytest.mark.parametrize("stored", SUMMARIES)
def test_both_ways_read_it_alike(ada: Agent, stored: dict[str, Any]) -> None:
    write_thread(ada, "s", [run("r")], summary=stored)
    with schema_context(ada.schema_name):
        assert read_summary(stored) == get_summary("s")
