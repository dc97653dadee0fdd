"""The parts of a page's time: queries, templates and the rest, measured inside one process of the studio."""

import json
from dataclasses import dataclass
from typing import Final

from tests.bench.cases import Case
from tests.bench.report import Part, Section, ms
from tests.bench.stage import Stage

KEYS: Final = ("newest", "users", "memory", "giant-table", "small")

_ASK: Final = """
import json, statistics, time
from io import BytesIO
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.template.backends.jinja2 import Template
task = json.loads({task!r})
application, spent = WSGIHandler(), dict(queries=0.0, templates=0.0, number=0)
connection.ensure_connection()

def timed(execute, *values):
    start = time.perf_counter()
    try:
        return execute(*values)
    finally:
        spent["queries"] += time.perf_counter() - start
        spent["number"] += 1

def render(self, *values, original=Template.render):
    start, before = time.perf_counter(), spent["queries"]
    try:
        return original(self, *values)
    finally:
        spent["templates"] += time.perf_counter() - start - (spent["queries"] - before)

Template.render = render
connection.execute_wrappers.append(timed)
environ = dict(REQUEST_METHOD="GET", SERVER_NAME="127.0.0.1", SERVER_PORT=task["port"], HTTP_COOKIE=task["cookie"])
environ |= dict(HTTP_HOST="127.0.0.1:" + task["port"], HTTP_ACCEPT_ENCODING="gzip", REMOTE_ADDR="127.0.0.1")
environ |= {{"wsgi.url_scheme": "http", "QUERY_STRING": ""}}
found = dict()
for key, path in task["paths"].items():
    rounds = []
    for number in range(task["rounds"] + 5):
        spent.update(queries=0.0, templates=0.0, number=0)
        start, said = time.perf_counter(), []
        answer = application(environ | {{"PATH_INFO": path, "wsgi.input": BytesIO()}}, lambda s, h: said.append(s))
        size = sum(map(len, answer))
        whole = time.perf_counter() - start
        answer.close()
        assert said[0].startswith("200"), (path, said)
        rounds.append([whole, spent["queries"], spent["templates"], spent["number"]])
    found[key] = [statistics.median(column) for column in zip(*rounds[5:])]
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Spent:
    """Milliseconds of one page in the process, and how much of them in queries and in templates."""

    title: str
    whole: float
    queries: float
    templates: float
    number: int


def measure(stage: Stage, cases: list[Case], rounds: int) -> Part:
    """Ask for some pages inside a process that times its queries and templates."""
    chosen = {case.key: case for case in cases if case.key in KEYS}
    task = {
        "paths": {key: stage.path(case.layout, case.ours) for key, case in chosen.items()},
        "cookie": stage.browser.headers["Cookie"],
        "port": stage.browser.base.rpartition(":")[2],
        "rounds": rounds,
    }
    found = json.loads(stage.server.python(_ASK, task=task).splitlines()[-1])
    spent = [
        Spent(chosen[key].title, 1000 * whole, 1000 * queries, 1000 * templates, round(number))
        for key, (whole, queries, templates, number) in found.items()
    ]
    return Part([], [section(spent)])


def section(found: list[Spent]) -> Section:
    """The parts of each page, in a table."""
    head = ["page", "in the process", "queries", "", "templates", "all else"]
    rows = [
        [
            *(one.title, ms(one.whole), ms(one.queries), str(one.number), ms(one.templates)),
            ms(one.whole - one.queries - one.templates),
        ]
        for one in found
    ]
    before = (
        "In ms, without HTTP. All else is Django: middleware, the session, the person and their rights, building the"
        " queries of those, and compressing."
    )
    return Section("Where the time goes", head, rows, before)
