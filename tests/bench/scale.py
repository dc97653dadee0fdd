"""Cost against size: the same pages of agents of 10,000, 100,000 and 1,000,000 threads, in turns."""

from dataclasses import replace
from typing import Final

from tests.bench.cases import cases
from tests.bench.compare import page_of
from tests.bench.measure import in_turns
from tests.bench.report import Section, ms
from tests.bench.stage import Stage, agent_id
from tests.bench.targets import Verdict, below

KEYS: Final = ("newest", "user", "middle", "filter", "users", "small")


def measure(stage: Stage, sizes: list[int]) -> dict[str, list[float]]:
    """ms of each page by its title, for each size."""
    asked: dict[str, dict[str, str]] = {}
    for size in sizes:
        at_size = Stage(stage.server, stage.home, replace(stage.shape, threads=size), stage.browser, {}, stage.layouts)
        for case in cases(at_size.shape, at_size.place):
            if case.key in KEYS:
                path = f"/agents/{agent_id(stage.layouts[0], size)}/{case.ours}"
                asked.setdefault(case.key, {})[str(size)] = path
    lines = {}
    for key, paths in asked.items():
        taken = in_turns({size: page_of(stage.browser, path) for size, path in paths.items()})
        lines[TITLES[key]] = [taken[str(size)].median for size in sizes]
    return lines


TITLES: Final = {
    "newest": "newest 50",
    "user": "one user's threads",
    "middle": "page in the middle",
    "filter": "failed, 30 days",
    "users": "users",
    "small": "thread of 6 runs",
}


def verdicts(lines: dict[str, list[float]], sizes: list[int]) -> list[Verdict]:
    """Flat from the smallest size to the largest."""
    if len(sizes) == 1:
        return []
    what = f"Cost of {sizes[-1]:,} threads against {sizes[0]:,}"
    target = below("Depth and size", "smallest", 1.15)
    return [Verdict(f"{what}: {title}", values[-1] / values[0], target) for title, values in lines.items()]


def section(lines: dict[str, list[float]], sizes: list[int]) -> Section:
    head = ["page", *(f"{size:,} threads" for size in sizes)]
    if len(sizes) > 1:
        head.append("last / first")
    rows = []
    for title, values in lines.items():
        ratio = [f"{values[-1] / values[0]:.2f}×"] if len(sizes) > 1 else []
        rows.append([title, *map(ms, values), *ratio])
    return Section("Cost against size, in milliseconds", head, rows)
