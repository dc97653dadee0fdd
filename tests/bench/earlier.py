"""An earlier commit beside this one, in the same run: its own environment, its own database, the same threads."""

import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import browsing, costs, cpu, load
from tests.bench.measure import Browser
from tests.bench.report import Part, Section, ms, times
from tests.bench.shape import Shape
from tests.bench.stage import Stage, agent_id
from tests.bench.targets import Verdict, above
from tests.conformance import environments
from tests.server import ROOT

ROUNDS: Final = 3

# Runs by the earlier commit's Python in its own directory, with its own way to fill a schema.
_SERVE: Final = """
import json, sys
from tests.bench.fill import fill
from tests.bench.place import database
from tests.bench.shape import Shape
from tests.bench.stage import signed_in
from tests.server import serving
task = json.loads(sys.argv[1])
with database() as (home, dsn), serving(dsn, home / "studio", WEB_WORKERS="2") as server:
    agent = server.create_agent(task["agent"])
    fill(server.dsn, {agent.schema: task["layout"]}, Shape(task["threads"], task["length"]))
    found = dict(url=server.url, dsn=dsn, headers=signed_in(server).headers, sign_in=server.sign_in_link())
    print(json.dumps(found), flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Earlier:
    """A studio of another commit that runs beside this one."""

    commit: str
    browser: Browser
    dsn: str
    sign_in: str


@contextmanager
def serving(commit: str, shape: Shape, layout: str) -> Iterator[Earlier]:
    """Check a commit out elsewhere, fill an agent of its own, and serve it until the block ends."""
    name = subprocess.check_output(["git", "rev-parse", "--short", commit], cwd=ROOT, text=True).strip()
    place = Path(tempfile.mkdtemp(prefix=f"studio-{name}-"))
    # its database may have to run as another user
    place.chmod(0o755)
    try:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", place], input=archive, check=True)
        python = environments.python("dev", place)
        name_there = agent_id(layout, shape.threads)
        task = {"agent": name_there, "layout": layout, "threads": shape.threads, "length": shape.length}
        command = [str(python), "-c", _SERVE, json.dumps(task)]
        with subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield _told(name, process)
            finally:
                # the end of its input ends it, and with it its database
                process.communicate()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def measure(stage: Stage, commit: str) -> Part:
    """Compare a list of this commit with an earlier one's, in turns."""
    layout = stage.layouts[0]
    with serving(commit, stage.shape, layout) as then:
        path = stage.path(layout, "threads/")
        sides = {"now": stage.browser, then.commit: then.browser}
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, browser in sides.items():
                rates[name].append(load.requests_a_second(browser, path))
        rate = {name: statistics.median(taken) for name, taken in rates.items()}
        ways = {}
        for name, browser in sides.items():
            pids = cpu.workers(browser.base)
            ways[name] = costs.way(browser, path, pids)
            ways[f"{name} floor"] = costs.way(Browser(browser.base), "/health", pids)
        cost = {name: one.whole for name, one in cpu.in_turns(ways, [stage.dsn, then.dsn]).items()}
        theirs = browsing.feel(then.browser.base, then.sign_in, path)
        ours = browsing.feel(stage.browser.base, stage.server.sign_in_link(), path)
    what = f"Requests a second of the list: against {then.commit} beside it"
    found = [Verdict(what, rate["now"] / rate[then.commit], above("Requests a second", "earlier", 1.7))]
    rows = [
        [f"requests a second of the list, 16 clients, by {load.asker()}", *_row(rate, then.commit, "{:,.0f}".format)],
        ["CPU of a list, ms", *_row(cost, then.commit, ms)],
        [f"… against {costs.FLOOR}", *(times(cost[name] / cost[f"{name} floor"]) for name in sides), ""],
        *([f"{step}, ms", *_row({"now": ours[step], then.commit: theirs[step]}, then.commit, ms)] for step in ours),
    ]
    words = "Served in the same run from a database of its own with the same threads, each as it is by default."
    return Part(found, [Section(f"Beside {then.commit}", ["what", "now", then.commit, "now / then"], rows, words)])


def _told(name: str, process: "subprocess.Popen[str]") -> Earlier:
    assert process.stdout is not None
    # what it says before is its progress
    for line in process.stdout:
        if line.startswith("{"):
            told = json.loads(line)
            return Earlier(name, Browser(told["url"], told["headers"]), told["dsn"], told["sign_in"])
    raise AssertionError(f"The studio of {name} did not start.")


def _row(found: dict[str, float], commit: str, write: Callable[[float], str]) -> list[str]:
    return [write(found["now"]), write(found[commit]), times(found["now"] / found[commit])]
