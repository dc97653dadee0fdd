"""The cost of the studio's triggers for an agent: Agno's own writes with and without them, in turns."""

import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.peers import PEERS, Peer
from tests.bench.report import Part, Section
from tests.bench.shape import Layout
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, below
from tests.server import ServedAgent

# a column is written whole, a row of a table alone
SIZES: Final[dict[Layout, tuple[int, ...]]] = {"column": (1, 6, 50, 500), "table": (6, 500)}
LARGE: Final = 500  # runs of an array whose write takes most of a second
# blocks of writes: how many, and how many writes each
BLOCKS: Final = (12, 6)
BLOCKS_OF_LARGE: Final = (9, 1)
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
        sizes = [size for size in SIZES[peer.layout] if size <= stage.shape.giant_runs]
        blocks = {size: _blocks(peer, size) for size in sizes}
        for taken in written(stage, peer, targets, blocks):
            pairs = zip(taken["cpu"]["without"], taken["cpu"]["with"], strict=True)
            extra = statistics.median(b - a for a, b in pairs)
            without = statistics.median(taken["cpu"]["without"])
            found.append(Tax(peer.version, taken["write"], taken["runs"], without, extra))
        for one in (plain, kept):
            stage.server.sql("delete from agno_sessions", schema=one.schema)
    return Part(verdicts(found), [section(found)])


def _blocks(peer: Peer, size: int) -> tuple[int, int]:
    return BLOCKS_OF_LARGE if size >= LARGE and peer.layout == "column" else BLOCKS


def written(
    stage: Stage, peer: Peer, targets: dict[str, list[str]], blocks: dict[int, tuple[int, int]]
) -> list[dict[str, Any]]:
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
    with ExitStack() as stack:
        runs = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".json"))
        runs.write(f"[{','.join(giant.runs[: max(blocks)])}]")
        runs.flush()
        return peer.writes(targets=targets, thread=thread, runs=runs.name, blocks=blocks)


def verdicts(found: list[Tax]) -> list[Verdict]:
    """At most 60 µs, and at most 5 % from 6 runs up."""
    rows = []
    for one in found:
        rows.append(Verdict(one.what, max(one.extra, 0), below(TOPIC, "", 60, " µs")))
        if one.runs >= 6:
            rows.append(Verdict(one.what, max(one.percent, 0), below(TOPIC, "", 5, " %")))
    return rows


def section(found: list[Tax]) -> Section:
    head = ["write", "without triggers", "more with them", "%"]
    rows = [[one.what, f"{one.without:,.0f}", f"{one.extra:+,.0f}", f"{one.percent:+.1f}"] for one in found]
    how = "µs of CPU of the backend that serves the library" if Path("/proc").exists() else "µs"
    before = (
        f"One turn's write by the real library, in {how}: `upsert_session` of 2.5.14, which rewrites all runs, and"
        " `upsert_run` and `upsert_session` of 3.1.10. In turns on two agents, one with the triggers off; the median"
        f" of {BLOCKS[0]} pairs of {BLOCKS[1]} writes, of {BLOCKS_OF_LARGE[0]} pairs of one where that is a long array."
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
