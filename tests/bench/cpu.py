"""CPU of a request: what a server's processes spend on it, and the Postgres backends that work for them.

Wall times of a busy machine are noise; CPU is not. Requests are asked in short blocks, page after page in turns.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, TypeVar

import psutil
import psycopg

T = TypeVar("T")
BLOCK: Final = 10
BLOCKS: Final = 10
# what a backend does after its answer, and a thread after sending it, belongs to the block
REST_SECONDS: Final = 0.005


@dataclass(frozen=True)
class Way:
    """One way to be asked, and the processes of the server that answers it."""

    ask: Callable[[], object]
    processes: Callable[[], list[int]]


@dataclass
class Cpu:
    """CPU milliseconds of a request, block by block: of the server's own processes, and of Postgres for them."""

    server: list[float]
    postgres: list[float]

    @property
    def own(self) -> float:
        return statistics.median(self.server)

    @property
    def database(self) -> float:
        return statistics.median(self.postgres)

    @property
    def whole(self) -> float:
        return statistics.median(map(sum, zip(self.server, self.postgres, strict=True)))


def in_turns(ways: dict[str, Way], dsns: Iterable[str], blocks: int = BLOCKS, block: int = BLOCK) -> dict[str, Cpu]:
    """Ask each way a block of times a round, in another order each round; `dsns` are where backends are looked for."""
    random, found = Random(len(ways)), {name: Cpu([], []) for name in ways}
    places = list(dict.fromkeys(dsns))
    for number in range(blocks + 1):
        for name in random.sample(list(ways), len(ways)):
            spent = _block(ways[name], places, block)
            # the first round warms up
            if number:
                found[name].server.append(spent[0])
                found[name].postgres.append(spent[1])
    return found


def _block(way: Way, dsns: list[str], block: int) -> tuple[float, float]:
    way.ask()
    time.sleep(REST_SECONDS)
    own = way.processes()
    theirs = backends(dsns, own)
    before = spent(own), spent(theirs)
    for _ in range(block):
        way.ask()
    time.sleep(REST_SECONDS)
    after = spent(own), spent(theirs)
    return (after[0] - before[0]) / block, (after[1] - before[1]) / block


def spent(pids: Iterable[int]) -> float:
    """CPU milliseconds that processes have spent so far, all threads together."""
    return sum(map(_spent, pids))


def _spent(pid: int) -> float:
    try:
        # nanoseconds on a processor, where Linux tells; the ticks that all systems count are 10 ms long
        return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6
    except OSError:
        times = psutil.Process(pid).cpu_times()
        return 1000 * (times.user + times.system)


def backends(dsns: Iterable[str], pids: Iterable[int]) -> list[int]:
    """The Postgres backends at the other end of these processes' connections."""
    ports = {c.laddr.port for pid in pids for c in psutil.Process(pid).net_connections("tcp") if c.raddr}
    found = []
    for dsn in dsns:
        with psycopg.connect(dsn) as connection:
            query = "select pid from pg_stat_activity where client_port = any(%s) and pid <> pg_backend_pid()"
            found += [pid for (pid,) in connection.execute(query, [list(ports)])]
    return found


def workers(base: str) -> list[int]:
    """The processes that answer for the studio at this address."""
    port = base.rpartition(":")[2]
    web = [one for one in psutil.process_iter() if "gunicorn" in " ".join(_told(one.cmdline, []))]
    web = [one for one in web if _told(one.environ, {}).get("PORT") == port]
    return [one.pid for one in web if one.ppid() in {other.pid for other in web}]


def listener(base: str) -> list[int]:
    """The one process that listens at this address."""
    port = int(base.rpartition(":")[2])
    here = psutil.net_connections("tcp")
    return [c.pid for c in here if c.status == psutil.CONN_LISTEN and c.laddr.port == port and c.pid][:1]


def _told(ask: Callable[[], T], otherwise: T) -> T:
    """Ask for something of a process that may be gone, or somebody else's."""
    try:
        return ask()
    except psutil.Error:
        return otherwise
