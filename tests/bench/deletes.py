"""Delete threads as the studio does, as bare SQL does on Agno's own tables, and as AgentOS does."""

import json
from dataclasses import dataclass
from typing import Final

from tests.bench.measure import ROUNDS, Taken, in_turns
from tests.bench.peers import PEERS
from tests.bench.report import Part, Section, ms, times
from tests.bench.stage import Stage, agent_id, peer_schema, peers_of
from tests.bench.targets import Verdict, below

MOST: Final = 10_000
REPEATS: Final = 3

# Runs in one process of the studio; ours and bare SQL in turns, each on ids that are there.
_DELETE: Final = """
import json, time
from pathlib import Path
import psycopg
from memory.services import deletion
from studio.models import Agent
from studio.audit.record import Actor
task = json.loads({task!r})
agent = Agent.objects.get(pk=task["agent"])
raw = psycopg.connect(task["dsn"], autocommit=True)
raw.execute("select set_config('search_path', %s, false)", [task["schema"]])
deletion.matching(agent, deletion.Filter(), content=True)
taken = dict()
for ids in json.loads(Path(task["ids"]).read_text()):
    start = time.perf_counter()
    done = deletion.delete_threads(Actor.system(), agent, ids)
    middle = time.perf_counter()
    with raw.transaction():
        raw.execute("delete from agno_sessions where session_id = any(%s)", [ids])
    end = time.perf_counter()
    assert done.threads == len(ids), done
    taken.setdefault(len(ids), []).append([1000 * (middle - start), 1000 * (end - middle)])
print(json.dumps(taken))
"""


@dataclass(frozen=True)
class Deleted:
    """Milliseconds to delete `threads` at once, by contender, in one layout."""

    layout: str
    threads: int
    ms: dict[str, float]


def sizes(threads: int) -> list[int]:
    return [1, min(threads // 100, MOST // 10), min(threads // 10, MOST)]


def measure(stage: Stage) -> Part:
    """Delete the oldest threads, a few times over, in both layouts."""
    found = []
    for peer in peers_of(stage.layouts):
        last, ids = stage.shape.threads, stage.home / "delete.json"
        ids.write_text(json.dumps([chosen for size in sizes(last) for chosen in _ids(stage, size)]))
        task = {
            "agent": agent_id(peer.layout, last),
            "dsn": stage.dsn,
            "schema": peer_schema(peer.layout),
            "ids": str(ids),
        }
        taken = json.loads(stage.server.python(_DELETE, task=task).splitlines()[-1])
        for size in sizes(last):
            ours, raw = (Taken([one[which] for one in taken[str(size)]]).median for which in (0, 1))
            found.append(Deleted(peer.layout, size, {"ours": ours, "raw": raw}))
            if size == 1:
                found[-1].ms[peer.version] = _peer(stage, peer.version)
    return Part(verdicts(found), [section(found)])


def section(deleted: list[Deleted]) -> Section:
    head = ["runs in the", "threads", "ours", "raw", "ours / raw", "AgentOS, each"]
    rows, versions = [], {peer.version for peer in PEERS}
    for one in deleted:
        peer = next((value for name, value in one.ms.items() if name in versions), None)
        ratio = times(one.ms["ours"] / one.ms["raw"])
        rows.append([one.layout, f"{one.threads:,}", *map(ms, (one.ms["ours"], one.ms["raw"])), ratio, ms(peer)])
    before = (
        "In ms, committed. Ours locks and counts the threads, deletes them with their index rows, leaves"
        " tombstones and writes the audit event; raw is one `delete` on Agno's own tables."
        f" The median of {REPEATS}, of a single thread of {ROUNDS}."
    )
    return Section("Deleting", head, rows, before)


def _ids(stage: Stage, size: int) -> list[list[str]]:
    """So many of the oldest threads at a time, a few times over."""
    last, start = stage.shape.threads, _offset(stage.shape.threads, size)
    starts = range(start, start + size * (ROUNDS if size == 1 else REPEATS), size)
    return [[stage.shape.session_id(last - 1 - number) for number in range(one, one + size)] for one in starts]


def verdicts(found: list[Deleted]) -> list[Verdict]:
    largest, target = max(one.threads for one in found), below("Deleting", "raw", 2.5)
    return [
        Verdict(f"Delete {one.threads:,} threads, runs in the {one.layout}: against raw", ratio, target)
        for one in found
        if one.threads == largest and (ratio := one.ms["ours"] / one.ms["raw"])
    ]


def _peer(stage: Stage, version: str) -> float:
    """Delete single threads through AgentOS, others than those above."""
    browser, number = stage.peers[version], iter(range(_offset(stage.shape.threads, -1), stage.shape.threads))

    def delete() -> None:
        session_id = stage.shape.session_id(stage.shape.threads - 1 - next(number))
        browser.get(f"/sessions/{session_id}?type=agent", "DELETE")

    return in_turns({version: delete})[version].median


def _offset(threads: int, size: int) -> int:
    """Where the ids of a size begin, counted from the oldest thread, so that none is deleted twice."""
    small, middle, large = sizes(threads)
    starts = {small: 0, middle: ROUNDS, large: ROUNDS + REPEATS * middle}
    return starts.get(size, ROUNDS + REPEATS * (middle + large))
