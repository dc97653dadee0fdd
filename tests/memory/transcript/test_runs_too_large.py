"""Pages of a thread's runs: what cannot be shown is said, not fetched."""

import json
import random
from typing import Any

import pytest
from psycopg import sql

from memory.transcript import stored
from memory.transcript.runs import get_run, iter_runs, stream_run
from memory.transcript.stored import _LIMITS
from studio.models import Agent
from tests.memory.transcript.threads import agno, execute, flat, page, thread_of, walk, write
from tests.world import NOW


def limit(
    monkeypatch: pytest.MonkeyPatch,
    text: int = stored.TEXT_LIMIT,
    budget: int = stored.TEXT_BUDGET,
    stored: int = stored.STORED_LIMIT,
    stored_budget: int = stored.STORED_BUDGET,
) -> None:
    values = {"text_limit": text, "text_budget": budget, "stored_limit": stored, "stored_budget": stored_budget}
    for name, value in values.items():
        monkeypatch.setitem(_LIMITS, name, sql.Literal(value))


def large(run_id: str, size: int, **more: Any) -> dict[str, Any]:
    noise = random.Random(run_id).randbytes(size // 2).hex(" ", 12)
    return agno(run_id, messages=[{"role": "tool", "content": noise}], **more)


def test_a_run_that_is_too_large_leaves_its_facts_and_its_size(
    here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, text=50_000)
    write(here, "s", [agno("small", at=NOW), large("big", 400_000, at=NOW + 1, status="ERROR")], layout)
    big, small = page("s").runs
    assert big.too_large
    assert big.text is None
    assert abs(big.bytes - 400_000) < 20_000
    assert (big.run.model, big.run.status, big.run.input_tokens) == ("gpt-4o-mini", "ERROR", 10)
    assert big.run.messages[0].text.value == "question big"
    assert small.text is not None


def test_a_run_that_packs_well_is_weighed_unpacked(here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, text=50_000)
    write(here, "s", [agno("packs", messages=[{"role": "user", "content": "a " * 200_000}])], layout)
    (packs,) = page("s").runs
    assert packs.too_large
    assert packs.bytes > 400_000


def test_a_page_ends_early_at_its_budget(here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, text=50_000, budget=100_000)
    write(here, "s", [large(f"r{n}", 40_000, at=NOW + n) for n in range(7)], layout)
    assert walk("s", order="oldest") == [["r0", "r1"], ["r2", "r3"], ["r4", "r5"], ["r6"]]


def test_a_page_unpacks_no_more_than_its_budget(here: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, stored=50_000, stored_budget=100_000)
    write(here, "s", [large(f"r{n}", 40_000, at=NOW + n) for n in range(5)], "table")
    assert flat(walk("s")) == ["r4", "r3", "r2", "r1", "r0"]
    assert len(walk("s")) > 2


@pytest.mark.parametrize("poison", ["9" * 5000, "[" * 3000 + "]" * 3000, "1e400", '{"a": 1, "a": 2}', '"\\u202e"'])
def test_poisoned_json_costs_one_box(here: Agent, layout: str, poison: str) -> None:
    write(here, "s", [agno("good", at=NOW), {**agno("bad", at=NOW + 1), "metadata": "POISON"}], layout)
    for table, column in (("agno_sessions", "runs"), ("agno_runs", "run_data")):
        execute(
            f"update {table} set {column} = replace({column}::text, '\"POISON\"', %s)::jsonb"
            f" where {column}::text like '%%POISON%%'",
            poison,
        )
    runs = {one.run_id: one.run for one in page("s").runs}
    assert runs.keys() == {"good", "bad"}
    assert not runs["good"].problem
    assert bool(runs["bad"].problem) == poison.startswith("[")
    assert len(list(iter_runs(thread_of("s")))) == 2


def test_all_runs_come_out_oldest_first_and_the_largest_too(
    here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, text=50_000, budget=60_000)
    runs = [agno(f"r{n}", at=NOW + n) for n in range(5)]
    runs[2] = large("r2", 400_000, at=NOW + 2)
    runs[3] = large("r3", 40_000, at=NOW + 3)
    write(here, "s", runs, layout)
    assert [json.loads("".join(pieces))["run_id"] for pieces in iter_runs(thread_of("s"))] == [
        "r0",
        "r1",
        "r2",
        "r3",
        "r4",
    ]


def test_one_run_comes_in_pieces(here: Agent, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.transcript.pieces.PIECE", 1000)
    write(here, "s", [agno("a", messages=[{"role": "user", "content": "é😀" * 2000}])], layout)
    pieces = list(stream_run("s", "a"))
    assert max(len(piece.encode()) for piece in pieces) <= 1003  # and what the piece before had begun
    assert "".join(pieces) == get_run("s", "a")
    assert list(stream_run("s", "b")) == []
