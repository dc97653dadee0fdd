"""The cost of the studio's triggers for an agent: Agno's own writes with and without them, in turns."""

import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import Final

from tests.bench.peers import PEERS
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, below
from tests.server import ServedAgent

SIZES: Final = (1, 6, 50, 500)
ROUNDS: Final = 24
ROUNDS_OF_LARGE: Final = 15  # of threads whose write takes most of a second
LARGE: Final = 500


@dataclass(frozen=True)
class Tax:
    """One turn's write of a thread of `runs`, in ms; `extra` is the median of each pair's difference."""

    version: str
    runs: int
    without: float
    with_triggers: float
    extra: float

    @property
    def percent(self) -> float:
        return 100 * self.extra / self.without


def measure(stage: Stage) -> list[Tax]:
    """Let both versions write into two agents' schemas, of which one has its triggers off."""
    plain, kept = (_agent(stage, name) for name in ("bench-writes-plain", "bench-writes-kept"))
    for table in ("agno_sessions", "agno_runs"):
        stage.server.sql(f"alter table {table} disable trigger user", schema=plain.schema)
    # the giant's runs are as long as all others
    giant = next(stage.shape.threads_made(stage.shape.giants[0]))
    sizes = [size for size in SIZES if size <= len(giant.runs)]
    # a thread deleted by an earlier run may not come back under its id
    now = int(time.time())
    thread = {"session_type": "agent", "agent_id": "bench", "created_at": now, "updated_at": now}
    found = []
    with tempfile.NamedTemporaryFile("w", suffix=".json") as runs:
        runs.write(f"[{','.join(giant.runs[: max(sizes)])}]")
        runs.flush()
        for peer in PEERS:
            session = {
                **thread,
                "session_id": f"turn-{now}-{peer.layout}",
                "user_id": giant.user_id,
                "session_data": json.loads(giant.session_data),
            }
            targets = {"without": [plain.dsn, plain.schema], "with": [kept.dsn, kept.schema]}
            rounds = {size: ROUNDS_OF_LARGE if size >= LARGE else ROUNDS for size in sizes}
            taken = peer.writes(targets=targets, thread=session, runs=runs.name, rounds=rounds)
            for agent in (plain, kept):
                stage.server.sql("delete from agno_sessions", schema=agent.schema)
            found += [_tax(peer.version, size, taken[size]["without"], taken[size]["with"]) for size in sizes]
    return found


def verdicts(found: list[Tax]) -> list[Verdict]:
    """At most 1 ms up to 50 runs, and at most 5 % from 6 runs up."""
    rows = []
    for one in found:
        what = f"Tax on Agno {one.version}'s write of a thread of {one.runs} runs"
        rows.append(Verdict(what, max(one.extra, 0), below("", 1, " ms")))
        if one.runs >= 6:
            rows.append(Verdict(what, max(one.percent, 0), below("", 5, " %")))
    return rows


def _tax(version: str, runs: int, without: list[float], with_triggers: list[float]) -> Tax:
    extra = statistics.median(b - a for a, b in zip(without, with_triggers, strict=True))
    return Tax(version, runs, statistics.median(without), statistics.median(with_triggers), extra)


def _agent(stage: Stage, name: str) -> ServedAgent:
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
