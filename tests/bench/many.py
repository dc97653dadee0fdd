"""A thousand agents: whether the studio's own pages, its start and its migrations notice."""

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from tqdm import tqdm

from tests.bench.measure import in_turns
from tests.bench.stage import signed_in
from tests.bench.targets import Verdict, below
from tests.markup import Page
from tests.server import StudioServer, serving

TIMED: Final = 20  # agents made as the studio's page makes them
FEW: Final = 50
PART: Final = 125

# The rest get the same tables from the same files, without Django's migration recorder in between.
_MAKE: Final = """
import json, time
from django.db import connection, transaction
from memory.schema import run
from studio.agents import memory_settings
from studio.ids import schema_name
from studio.models import Agent
from studio.agents import provision
from studio.audit.record import Actor
task = json.loads({task!r})
actor, taken = Actor.system(), []
have = set(Agent.objects.values_list("pk", flat=True))
names = [n for n in (task["prefix"] + "-%04d" % n for n in range(*task["numbers"])) if n not in have]
for name in names:
    start = time.perf_counter()
    if task["timed"]:
        provision.create_agent(actor, agent_id=name, name=name)
    else:
        schema = schema_name(name)
        with transaction.atomic(), connection.cursor() as cursor:
            agent = Agent(id=name, schema_name=schema, name=name)
            agent.save(force_insert=True)
            memory_settings.create(actor, agent)
            cursor.execute(f'create schema "{{schema}}"')
            parts = ("agno.sql", "tables.sql", "functions.sql", "triggers.sql")
            cursor.execute(";\\n".join(statement for part in parts for statement in run.statements(part, schema)))
            mine, other = f'"{{schema}}".django_migrations', f'"{{task["like"]}}".django_migrations'
            cursor.execute(f"create table {{mine}} (like {{other}} including all)")
            cursor.execute(f"insert into {{mine}} select * from {{other}}")
    taken.append(1000 * (time.perf_counter() - start))
print(json.dumps(taken))
"""
_BEHIND: Final = """
import json, time
from studio.serve import migrate
start = time.perf_counter()
left = migrate.unmigrated()
print(json.dumps([1000 * (time.perf_counter() - start), len(left)]))
"""


@dataclass(frozen=True)
class Few:
    """Milliseconds of pages and commands with the present number of agents."""

    agents: int
    page: float
    save: float
    start: float
    check: float


@dataclass(frozen=True)
class Many:
    before: Few
    after: Few
    create_ms: float

    @property
    def check_each(self) -> float:
        return self.after.check / self.after.agents


def measure(server: StudioServer, home: Path, agents: int, like: str) -> Many:
    """Make agents until there are `agents`, and compare before and after; `like` is a schema to copy."""
    # new ones each time, as a kept database has those of the run before
    taken = _make(server, (0, min(TIMED, agents)), like, timed=True, prefix=f"made-{int(time.time())}")
    # so many fill a page of the list
    _make(server, (0, FEW), like, timed=False)
    before = _few(server, home)
    with tqdm(total=agents, desc="agents", unit=" agents", disable=None) as bar:
        parts = [(start, min(start + PART, agents)) for start in range(0, agents, PART)]
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda part: _make(server, part, like, timed=False), parts):
                bar.update(PART)
    after = _few(server, home)
    return Many(before, after, statistics.median(taken))


def verdicts(found: Many) -> list[Verdict]:
    rows = [
        Verdict("Create an agent", found.create_ms, below("", 400, " ms")),
        Verdict("Check of an agent's migrations with nothing to do", found.check_each, below("", 60, " ms")),
    ]
    number = f"{found.after.agents:,} agents"
    for what, name in (("Agents page", "page"), ("Settings save", "save")):
        ratio = getattr(found.after, name) / getattr(found.before, name)
        rows.append(Verdict(f"{what} with {number}: against {found.before.agents}", ratio, below("few", 1)))
    return rows


def _make(
    server: StudioServer, numbers: tuple[int, int], like: str, *, timed: bool, prefix: str = "many"
) -> list[float]:
    taken: list[float] = json.loads(
        server.python(_MAKE, task={"numbers": numbers, "timed": timed, "like": like, "prefix": prefix}).splitlines()[-1]
    )
    return taken


def _few(server: StudioServer, home: Path) -> Few:
    # what making them left to be written belongs to making them
    server.sql("analyze studio_agent, studio_memorysettings")
    server.sql("checkpoint")
    browser, client = signed_in(server), server.client()
    agents = server.sql("select count(*) from studio_agent")[0][0]

    def page() -> float:
        return browser.get("/agents/").all_ms

    # what the page wants to be saved is its own form, with another number in it
    number = iter(range(1, 1_000))

    def save() -> float:
        form_page = client.get("/agents/many-0000/memory/")
        form = next(form for form in Page(form_page.text).forms if "num_history_runs" in form.fields)
        start = time.perf_counter()
        answer = form.send(client, form_page, num_history_runs=str(next(number)))
        assert answer.status_code == 200, answer.text[:300]
        return (time.perf_counter() - start) * 1000

    taken = in_turns({"page": page, "save": save})
    check, _ = json.loads(server.python(_BEHIND).splitlines()[-1])
    return Few(agents, taken["page"].median, taken["save"].median, _start(server, home), check)


def _start(server: StudioServer, home: Path) -> float:
    """Start a second studio on the same database until it answers."""
    start = time.perf_counter()
    with serving(server.dsn, home / "second") as second:
        took = (time.perf_counter() - start) * 1000
        assert httpx.get(second.url + "/health", timeout=30).status_code == 200
    return took
