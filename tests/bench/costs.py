"""CPU of pages against the floor of a page and against AgentOS: worker and Postgres together."""

from typing import Final

from tests.bench import cpu
from tests.bench.cases import Case
from tests.bench.measure import Browser
from tests.bench.report import Part, Section, ms, times
from tests.bench.stage import Stage
from tests.bench.targets import Verdict, above, below

FLOOR: Final = "/health without a cookie"
KEYS: Final = ("newest", "users", "small")


def measure(stage: Stage, cases: list[Case]) -> Part:
    """Ask for pages in turns, and count what they cost on this machine."""
    chosen = {case.key: case for case in cases if case.key in KEYS}
    ways = {FLOOR: way(Browser(stage.browser.base), "/health", cpu.workers(stage.browser.base))}
    for case in chosen.values():
        path = stage.path(case.layout, case.ours)
        ways[case.key] = way(stage.browser, path, cpu.workers(stage.browser.base))
        for version, theirs in case.peer.items():
            if version in stage.peers:
                peer = stage.peers[version]
                ways[f"{case.key} {version}"] = way(peer, theirs, cpu.listener(peer.base))
    found = cpu.in_turns(ways, [stage.dsn])
    return Part(verdicts(found), [section(found, {key: case.title for key, case in chosen.items()})])


def verdicts(found: dict[str, cpu.Cpu]) -> list[Verdict]:
    """A list beside the floor and beside AgentOS, and a short transcript beside AgentOS."""
    cost = {name: one.whole for name, one in found.items()}
    rows = [Verdict("Threads, newest 50, CPU: against `/health`", cost["newest"] / cost[FLOOR], LIST)]
    for name, value in cost.items():
        key, _, version = name.partition(" ")
        if key == "newest" and version:
            what = f"Threads, newest 50, CPU: AgentOS {version} against it"
            rows.append(Verdict(what, value / cost["newest"], AGENTOS))
        if key == "small" and version.startswith("3"):
            what = f"All of a thread of 6 runs, CPU: against AgentOS {version}"
            rows.append(Verdict(what, cost["small"] / value, TRANSCRIPT))
    return rows


LIST: Final = below("A list", "floor", 8)
AGENTOS: Final = above("AgentOS beside a list", "peer", 5)
TRANSCRIPT: Final = below("A transcript", "peer", 1.5)


def section(found: dict[str, cpu.Cpu], titles: dict[str, str]) -> Section:
    rows = []
    for name, one in found.items():
        key, _, version = name.partition(" ")
        title = FLOOR if name == FLOOR else titles[key] + (f", AgentOS {version}" if version else "")
        rows.append([title, *map(ms, (one.own, one.database, one.whole)), times(one.whole / found[FLOOR].whole)])
    before = (
        "What a request costs the server's own processes and the Postgres backends that work for them, in ms of CPU;"
        f" the median of {cpu.BLOCKS} blocks of {cpu.BLOCK} requests, page after page in turns."
    )
    return Section("CPU of a request", ["page", "server", "Postgres", "both", "against the floor"], rows, before)


def way(browser: Browser, path: str, pids: list[int]) -> cpu.Way:
    """Ask for a page of a server with these processes."""
    return cpu.Way(lambda: browser.get(path), lambda: pids)
