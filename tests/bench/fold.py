"""The fold: what it costs to bring noted writes into the thread index, and how long a write waits for it."""

import json
import time
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.bench.measure import query_on
from tests.bench.report import Part, Section, ms
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, below
from tests.bench.writes import agent

TOPIC: Final = "The fold"
THREADS: Final = 300
ROUNDS: Final = 5
WRITES: Final = 15
PATIENCE_SECONDS: Final = 10
POLL_SECONDS: Final = 0.005
# an agent waits some time between its turns
PAUSE_SECONDS: Final = 0.7

# Writes and folds in one transaction, which nobody else can fold, and undoes it: ms by what was folded.
_FOLD: Final = """
import json, time
from pathlib import Path
from django.db import connection, transaction
from django_tenants.utils import schema_context
from memory.index import feed
from tests.bench.fill import copy_rows
task = json.loads({task!r})
connection.ensure_connection()

def spent():
    told = Path(f"/proc/{{connection.connection.info.backend_pid}}/schedstat")
    return time.process_time() * 1e3 + (int(told.read_text().split()[0]) / 1e6 if told.exists() else 0)

def folded():
    start = spent()
    feed.fold_all(600)
    return spent() - start

def count(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]

found = dict(batch=[], turn=[])
for _ in range(task["rounds"]):
    with schema_context(task["target"]), transaction.atomic():
        for ids, name in ((task["ids"], "batch"), ([task["giant"]], "giant")):
            for table in ("agno_sessions", "agno_runs"):
                copy_rows(connection.connection, task["source"], task["target"], table, ids)
            found.setdefault(name, []).append(folded())
        runs = count("select sum(runs) from memory_thread where session_id <> '" + task["giant"] + "'")
        assert count("select count(*) from memory_thread") == len(task["ids"]) + 1
        with connection.cursor() as cursor:
            cursor.execute(task["turn"], [task["giant"]])
        found["turn"].append(folded())
        transaction.set_rollback(True)
print(json.dumps(found | dict(runs=int(runs))))
"""
# One more run of a thread, as Agno leaves it.
_TURN: Final = {
    "table": """
        insert into agno_runs (run_id, session_id, run_type, agent_id, user_id, status, run_index, run_data, created_at)
        select run_id || '-next', session_id, run_type, agent_id, user_id, status, run_index + 1,
            run_data || jsonb_build_object('run_id', run_id || '-next'), created_at + 1
        from agno_runs where session_id = %s order by run_index desc limit 1""",
    "column": """
        update agno_sessions set updated_at = updated_at + 1,
            runs = runs || jsonb_build_array(runs -> -1 || '{"run_id": "next"}') where session_id = %s""",
}


@dataclass(frozen=True)
class Folded:
    """CPU of a fold in ms: of a batch of many threads, by run; of one more run of a long thread."""

    layout: str
    run: float
    giant_runs: int
    turn: float


def measure(stage: Stage) -> Part:
    """Fold a batch of threads in each layout, and one turn of a giant; then watch the index after single writes."""
    found = [_fold(stage, layout) for layout in stage.layouts]
    behind = _behind(stage)
    return Part(verdicts(found, behind), [section(found, behind)])


def verdicts(found: list[Folded], behind: list[float]) -> list[Verdict]:
    what = "Fold a run of a batch, runs in the"
    rows = [Verdict(f"{what} {one.layout}", 1000 * one.run, below(TOPIC, "", 250, " µs")) for one in found]
    return [*rows, Verdict("The index behind a write, at worst", max(behind) / 1000, below(TOPIC, "", 1, " s"))]


def section(found: list[Folded], behind: list[float]) -> Section:
    rows = [
        row
        for one in found
        for row in (
            [f"a run of a batch of {THREADS} new threads, in the {one.layout}", f"{1000 * one.run:,.0f} µs of CPU"],
            [f"one more run of {one.giant_runs:,}, in the {one.layout}", f"{ms(one.turn)} ms of CPU"],
        )
    ]
    rows.append(
        [f"the index behind a write: median of {WRITES}, worst", f"{ms(_middle(behind))}, {ms(max(behind))} ms"]
    )
    words = (
        "CPU of the process that folds and of its backend. Behind is the time from an agent's commit until its thread"
    )
    words += " is in the index, while nobody reads."
    return Section("The fold", ["what", "measured"], rows, words)


def _fold(stage: Stage, layout: str) -> Folded:
    shape, target = stage.shape, agent(stage, f"bench-fold-{layout}")
    threads = min(THREADS, shape.threads // 4)
    first = shape.threads // 2
    numbers = [number for number in range(first, first + threads) if number not in shape.giants]
    task = {
        "source": stage.schema(layout),
        "target": target.schema,
        "ids": [shape.session_id(number) for number in numbers],
        "giant": shape.session_id(shape.giants[0]),
        "turn": _TURN[layout],
        "rounds": ROUNDS,
    }
    told = json.loads(stage.server.python(_FOLD, task=task).splitlines()[-1])
    return Folded(layout, _middle(told["batch"]) / told["runs"], shape.giant_runs, _middle(told["turn"]))


def _behind(stage: Stage) -> list[float]:
    """Milliseconds from an agent's commit until the index has the thread, for some writes."""
    writer, random, found = agent(stage, "bench-fold-behind"), Random(1), []
    insert = "insert into agno_sessions (session_id, session_type, created_at, updated_at, runs)"
    insert += " values (%s, 'agent', %s, %s, jsonb_build_array(jsonb_build_object('run_id', %s::text)))"
    with (
        query_on(writer.dsn, writer.schema).connection as connection,
        query_on(stage.dsn, writer.schema).connection as reader,
    ):
        for number in range(WRITES):
            time.sleep(random.random() * PAUSE_SECONDS)
            now, session_id = int(time.time()), f"behind-{time.time_ns()}-{number}"
            connection.execute(insert, [session_id, now, now, session_id])
            start = time.perf_counter()
            while not reader.execute("select 1 from memory_thread where session_id = %s", [session_id]).fetchone():
                assert time.perf_counter() - start < PATIENCE_SECONDS, "nobody folds"
                time.sleep(POLL_SECONDS)
            found.append(1000 * (time.perf_counter() - start))
    return found


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
