"""The cost of the studio's triggers for an agent: Agno's own writes with and without them, in turns."""

import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.peers import PEERS, Peer
from tests.bench.report import Part, Section
from tests.bench.shape import Layout
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, below
from tests.server import ServedAgent

# How many pairs of writes, by runs of the thread: a column is written whole, a row of a table alone.
ROUNDS: Final[dict[Layout, dict[int, int]]] = {
    "column": {1: 120, 6: 120, 50: 60, 500: 10},
    "table": {6: 120, 500: 120},
}
# µs of a write that differs by more than 60 µs from the next one
LONG: Final = 20_000
TOPIC: Final = "The tax on a write"
_NAMES: Final = {
    "upsert_run": "a new run",
    "upsert_run again": "the same run again",
    "upsert_session": "the session",
}


@dataclass(frozen=True)
class Tax:
    """µs of the backend's CPU for one write of a thread of `runs`; `extra` is the median of the pairs' differences."""

    version: str
    write: str
    runs: int
    without: float
    extra: float

    @property
    def percent(self) -> float:
        return 100 * self.extra / self.without

    @property
    def what(self) -> str:
        return f"Agno {self.version} writes {_NAMES[self.write]}, thread of {self.runs} runs"


def measure(stage: Stage) -> Part:
    """Let both versions write into two agents' schemas, of which one has its triggers off."""
    plain, kept = (agent(stage, name) for name in ("bench-writes-plain", "bench-writes-kept"))
    for table in ("agno_sessions", "agno_runs"):
        stage.server.sql(f"alter table {table} disable trigger user", schema=plain.schema)
    targets = {"without": [plain.dsn, plain.schema], "with": [kept.dsn, kept.schema]}
    found = []
    for peer in PEERS:
        rounds = {size: times for size, times in ROUNDS[peer.layout].items() if size <= stage.shape.giant_runs}
        for taken in _written(stage, peer, targets, rounds):
            without, kept_triggers = (taken["cpu"][name] for name in targets)
            extra = statistics.median(b - a for a, b in zip(without, kept_triggers, strict=True))
            found.append(Tax(peer.version, taken["write"], taken["runs"], statistics.median(without), extra))
        for one in (plain, kept):
            stage.server.sql("delete from agno_sessions", schema=one.schema)
    return Part(verdicts(found), [section(found)])


def _written(stage: Stage, peer: Peer, targets: dict[str, list[str]], rounds: dict[int, int]) -> list[dict[str, Any]]:
    """Let the library write a thread of each size to each target in turns; what it says of every kind of write."""
    # its runs are as long as all others
    giant = next(stage.shape.threads_made(stage.shape.giants[0]))
    # a thread deleted by an earlier run may not come back under its id
    now = int(time.time())
    thread = {
        "session_type": "agent",
        "agent_id": "bench",
        "created_at": now,
        "updated_at": now,
        "session_id": f"turn-{now}-{peer.layout}",
        "user_id": giant.user_id,
        "session_data": json.loads(giant.session_data),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as runs:
        runs.write(f"[{','.join(giant.runs[: max(rounds)])}]")
        runs.flush()
        return peer.writes(targets=targets, thread=thread, runs=runs.name, rounds=rounds)


def verdicts(found: list[Tax]) -> list[Verdict]:
    """At most 60 µs, which a long array hides, and at most 5 % from 6 runs up."""
    rows = []
    for one in found:
        if one.without < LONG:
            rows.append(Verdict(one.what, max(one.extra, 0), below(TOPIC, "", 60, " µs")))
        if one.runs >= 6:
            rows.append(Verdict(one.what, max(one.percent, 0), below(TOPIC, "", 5, " %")))
    return rows


def section(found: list[Tax]) -> Section:
    head = ["write", "without triggers", "more with them", "%"]
    rows = [[one.what, f"{one.without:,.0f}", f"{one.extra:+,.0f}", f"{one.percent:+.1f}"] for one in found]
    how = "µs of CPU of the backend that serves the library" if Path("/proc").exists() else "µs"
    before = (
        f"One turn's write by the real library, in {how}, its commit included: `upsert_session` of 2.5.14, which"
        " rewrites all runs, and `upsert_run` and `upsert_session` of 3.1.10. In turns on two agents, one with the"
        f" triggers off; the median of {max(ROUNDS['column'].values())} pairs, of fewer where a write is long."
        f" Writes of more than {LONG // 1000} ms differ by more than 60 µs each time: of those the percentage has a"
        " target."
    )
    return Section("The tax on an agent's write", head, rows, before)


def agent(stage: Stage, name: str) -> ServedAgent:
    """Return an agent with the DSN that it writes by; it is made unless it is there."""
    agents = stage.server.sql("select id from studio_agent where id = %s", name)
    if agents:
        return ServedAgent(name, f"ag_{name.replace('-', '_')}", stage.server.python(_REVEAL, agent=name).strip())
    return stage.server.create_agent(name)


# a kept database has the password as another start's key encrypted it
_REVEAL: Final = """
import json
from studio.models import Agent
from studio.agents import connection, database_role
from studio.audit.record import Actor
agent = Agent.objects.get(pk=json.loads({agent!r}))
database_role.ensure(agent)
print(connection.reveal(Actor.system(), agent))
"""
