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
from tests.bench.report import Part, Section, ms
from tests.bench.stage import Stage, signed_in
from tests.bench.targets import Verdict, below
from tests.markup import Page
from tests.server import StudioServer, serving

TOPIC: Final = "A thousand agents"
TIMED: Final = 20  # agents made as the studio's page makes them
FEW: Final = 50
PART: Final = 125

# The rest get the same tables by the same migrations, in one round trip and without what records them.
_MAKE: Final = """
import json, time
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from studio.agents import memory_settings, provision
from studio.audit.record import Actor
from studio.ids import schema_name
from studio.models import Agent

class Collected:
    in_atomic_block, wrap_database_errors = True, nullcontext()
    def __init__(self, schema):
        self.schema_name, self.said, self.connection = schema, [], self
    @contextmanager
    def cursor(self):
        yield self
    pipeline = cursor
    def execute(self, statement, *values):
        self.said.append(statement)

task, actor = json.loads({task!r}), Actor.system()
loader = MigrationLoader(None)
plan = loader.graph.forwards_plan(loader.graph.leaf_nodes(provision.TENANT_APP)[0])
migrations = [loader.get_migration(*key) for key in plan if key[0] == provision.TENANT_APP]

def quickly(name):
    collected = Collected(schema_name(name))
    for operation in [one for migration in migrations for one in migration.operations]:
        operation.code(None, SimpleNamespace(connection=collected))
    with transaction.atomic(), connection.cursor() as cursor:
        agent = Agent(id=name, schema_name=collected.schema_name, name=name)
        agent.save(force_insert=True)
        memory_settings.create(actor, agent)
        cursor.execute(f'create schema "{{agent.schema_name}}"')
        cursor.execute(";\\n".join(collected.said))
        mine, other = (f'"{{one}}".django_migrations' for one in (agent.schema_name, task["like"]))
        cursor.execute(f"create table {{mine}} (like {{other}} including all)")
        cursor.execute(f"insert into {{mine}} select * from {{other}}")

taken, have = [], set(Agent.objects.values_list("pk", flat=True))
for name in (task["prefix"] + "-%04d" % number for number in range(*task["numbers"])):
    start = time.perf_counter()
    if name not in have and task["timed"]:
        provision.create_agent(actor, agent_id=name, name=name)
    elif name not in have:
        quickly(name)
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


def measure(stage: Stage, agents: int) -> Part:
    """Make agents until there are `agents`, and compare before and after."""
    server, home = stage.server, stage.home
    # new ones each time, as a kept database has those of the run before
    taken = _make(stage, (0, min(TIMED, agents)), f"made-{int(time.time())}")
    # so many fill a page of the list
    _make(stage, (0, FEW))
    before = _few(server, home)
    with tqdm(total=agents, desc="agents", unit=" agents", disable=None) as bar:
        parts = [(start, min(start + PART, agents)) for start in range(0, agents, PART)]
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda part: _make(stage, part), parts):
                bar.update(PART)
    after = _few(server, home)
    found = Many(before, after, statistics.median(taken))
    return Part(verdicts(found), [section(found)])


def section(found: Many) -> Section:
    head = ["agents", "agents page", "settings save and its page", "start until it answers", "check of all migrations"]
    rows = [
        [f"{one.agents:,}", *map(ms, (one.page, one.save, one.start, one.check))] for one in (found.before, found.after)
    ]
    return Section("Many agents, in milliseconds", head, rows, f"An agent is created in {ms(found.create_ms)} ms.")


def verdicts(found: Many) -> list[Verdict]:
    rows = [
        Verdict("Create an agent", found.create_ms, below(TOPIC, "", 100, " ms")),
        Verdict("Check of an agent's migrations with nothing to do", found.check_each, below(TOPIC, "", 60, " ms")),
    ]
    number = f"{found.after.agents:,} agents"
    for what, name in (("Agents page", "page"), ("Settings save", "save")):
        ratio = getattr(found.after, name) / getattr(found.before, name)
        rows.append(Verdict(f"{what} with {number}: against {found.before.agents}", ratio, below(TOPIC, "few", 1)))
    return rows


def _make(stage: Stage, numbers: tuple[int, int], timed_as: str = "") -> list[float]:
    """Make agents, as the studio's page does if they are to be timed; ms of each."""
    like = stage.schema(stage.layouts[0])
    task = {"numbers": numbers, "prefix": timed_as or "many", "timed": bool(timed_as), "like": like}
    taken: list[float] = json.loads(stage.server.python(_MAKE, task=task).splitlines()[-1])
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
