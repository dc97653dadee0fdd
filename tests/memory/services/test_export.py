"""A thread as a file: everything that is stored, sent while it is read, and logged."""

import json
import re
import tracemalloc
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from django_tenants.utils import schema_context

from memory.services import export
from memory.transcript import stored
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent
from tests.world import NOW, ODD_IDS, message, person, run, signed_in, write_run, write_thread


def address(session_id: str = "s", agent: str = "agt-ada", form: str = "") -> str:
    return reverse("thread-export", args=[agent, session_id]) + (f"?format={form}" if form else "")


def read(answer: HttpResponseBase) -> str:
    assert isinstance(answer, StreamingHttpResponse)
    return b"".join(answer).decode()  # type: ignore[arg-type]


def test_it_holds_the_thread_and_every_run(page: Client, ada: Agent, layout: str) -> None:
    written = [run(f"r{n}", f"Grüße {n} 👩‍🚀", at=NOW + n) for n in range(45)]
    write_thread(ada, "s", written, layout=layout, session_data={"session_name": "Name"}, summary={"summary": "Sum"})
    answer = page.get(address())
    whole = json.loads(read(answer))
    assert whole["agent"] == {"id": "agt-ada", "name": "Ada's agent"}
    assert whole["session"]["session_id"] == "s"
    assert whole["session"]["session_data"] == {"session_name": "Name"}
    assert whole["session"]["summary"] == {"summary": "Sum"}
    assert "runs" not in whole["session"]
    assert whole["runs"] == written


def test_ndjson_has_a_run_on_each_line(page: Client, ada: Agent, layout: str) -> None:
    written = [run(f"r{n}", "two\nlines", at=NOW + n) for n in range(5)]
    write_thread(ada, "s", written, layout=layout)
    answer = page.get(address(form="ndjson"))
    first, *others = read(answer).splitlines()
    assert answer["Content-Type"] == "application/x-ndjson"
    assert json.loads(first)["session"]["session_id"] == "s"
    assert [json.loads(line) for line in others] == written


def test_runs_of_both_places_come_once_and_in_order(page: Client, ada: Agent) -> None:
    write_thread(ada, "s", [run("a", "old", at=NOW), run("b", at=NOW + 1)])
    write_run(ada, "s", run("a", "new", at=NOW), 0)
    write_run(ada, "s", run("c", at=NOW + 2), 2)
    found = json.loads(read(page.get(address())))["runs"]
    assert [one["run_id"] for one in found] == ["a", "b", "c"]
    assert found[0]["input"]["input_content"] == "new"


def test_an_empty_thread_is_a_file_too(page: Client, ada: Agent) -> None:
    write_thread(ada, "s", [], layout="table")
    assert json.loads(read(page.get(address())))["runs"] == []


def test_poisoned_and_foreign_runs_are_in_it_as_stored(page: Client, ada: Agent) -> None:
    write_thread(ada, "s", [run("r", metadata="POISON"), 5, None, "text"])
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("update agno_sessions set runs = replace(runs::text, '\"POISON\"', %s)::jsonb", ["9" * 5000])
    text = read(page.get(address()))
    assert "9" * 5000 in text
    assert text.rstrip().endswith('5,\nnull,\n"text"\n]}')


def test_it_is_a_download_with_a_safe_name(page: Client, ada: Agent) -> None:
    for session_id in ODD_IDS:
        write_thread(ada, session_id, [run("r" + str(ODD_IDS.index(session_id)))])
        answer = page.get(address(session_id))
        assert re.fullmatch(r'attachment; filename="thread-[A-Za-z0-9_.-]{1,60}\.json"', answer["Content-Disposition"])
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert json.loads(read(answer))["session"]["session_id"] == session_id


def test_the_largest_run_goes_through_in_pieces(page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.transcript.pieces.PIECE", 100_000)
    large = run("big", messages=[message("tool", "é" * 1_500_000)], at=NOW + 1)
    write_thread(ada, "s", [run("a"), large])
    assert len(json.dumps(large, ensure_ascii=False).encode()) > stored.TEXT_LIMIT
    pieces = list(page.get(address()))
    assert max(len(piece) for piece in pieces) <= 200_000
    assert json.loads(b"".join(pieces))["runs"][1] == large


def test_memory_does_not_grow_with_the_thread(ada: Agent) -> None:
    text = "x" * 20_000
    write_thread(ada, "s", [run(f"r{n}", text, at=NOW + n) for n in range(400)], layout="table")
    pieces = export.export_thread(Actor.system(), ada, "s")
    assert pieces is not None
    tracemalloc.start()
    try:
        total = sum(len(piece) for piece in pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 400 * 20_000 * 2
    assert peak < 12_000_000


def test_it_reads_the_agents_own_schema(page: Client, ada: Agent, bruno: Agent) -> None:
    write_thread(ada, "s", [run("ours")])
    write_thread(bruno, "s", [run("theirs")])
    mine, other = iter(page.get(address())), iter(page.get(address(agent="agt-bruno")))
    texts: list[bytes] = [b"", b""]
    for first, second in zip(mine, other, strict=True):
        assert connection.schema_name == "public"
        texts[0] += first
        texts[1] += second
    assert [json.loads(text)["runs"][0]["run_id"] for text in texts] == ["ours", "theirs"]


def test_a_download_is_logged(page: Client, ada: Agent) -> None:
    write_thread(ada, "s")
    page.get(address(form="ndjson"))
    event = AuditEvent.objects.get(action="thread.export")
    assert (event.object, event.agent_id, event.actor, event.data) == ("s", "agt-ada", "Admin", {"format": "ndjson"})


def test_what_is_not_there_is_not_found_and_not_logged(page: Client, ada: Agent, bruno: Agent) -> None:
    write_thread(bruno, "theirs")
    assert page.get(address("theirs")).status_code == 404
    assert page.get(address(agent="agt-nobody")).status_code == 404
    assert not AuditEvent.objects.filter(action="thread.export").exists()


@pytest.mark.parametrize(
    ("name", "status"), [("viewer", 403), ("operator", 403), ("support", 403), ("privacy", 200), ("admin", 200)]
)
def test_only_those_who_may_download_do(ada: Agent, name: str, status: int) -> None:
    write_thread(ada, "s")
    assert signed_in(person(name)).get(address()).status_code == status


@pytest.mark.parametrize("form", ["csv", "JSON", "../x"])
def test_an_unknown_format_is_a_bad_request(page: Client, ada: Agent, form: Any) -> None:
    write_thread(ada, "s")
    assert page.get(address(form=form)).status_code == 400
