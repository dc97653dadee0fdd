"""A long thread in one column with and without lz4: two agents of one server of this machine that has it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from studio.postgres import binaries
from studio.postgres.home import server_account
from tests.bench.compare import page_of
from tests.bench.fill import add
from tests.bench.measure import Taken, in_turns, query_on
from tests.bench.place import database
from tests.bench.report import Part, Section, ms, times
from tests.bench.shape import Thread
from tests.bench.stage import Stage, signed_in
from tests.bench.targets import Verdict, below
from tests.server import ServedAgent
from tests.server import serving as studio_on

TITLE: Final = "With lz4"
TOPIC: Final = "A long thread, in the column"
NONE: Final = "No Postgres with lz4 is installed on this machine, so nothing was measured; the bundled one has none."
METHODS: Final = ("lz4", "pglz")
_WRITE: Final = "update agno_sessions set runs = %(runs)s::jsonb, updated_at = updated_at + 1 returning session_id"
_RUNS: Final = "select jsonb_path_query_array(runs, %(slice)s::jsonpath)::text from agno_sessions"


def measure(stage: Stage) -> Part:
    """Read the newest runs of a giant, and write it; a part that says why where there is no server."""
    found = binaries.installed(server_account() if os.geteuid() == 0 else None)
    if found is None:
        return Part([], [Section(TITLE, [], [], NONE)])
    giant = next(stage.shape.threads_made(stage.shape.giants[0]))
    runs = len(giant.runs)
    with _served(found, stage) as there:
        agents = {method: _agent(there, method, giant) for method in METHODS}
        pages = {m: page_of(there.browser, f"/agents/{a.id}/threads/{giant.session_id}/") for m, a in agents.items()}
        last = {"slice": f"$[{runs - 20} to {runs - 1}]"}
        queries = {method: query_on(there.dsn, agent.schema) for method, agent in agents.items()}
        slices = {method: query(_RUNS, last) for method, query in queries.items()}
        writes = {method: query(_WRITE, {"runs": f"[{','.join(giant.runs)}]"}) for method, query in queries.items()}
        taken = {
            f"the newest 20 of {runs:,} runs, as a page": _medians(in_turns(dict(pages))),
            "… the bare slice": _medians(in_turns(dict(slices))),
            "all of them written, as Agno 2.5 does each turn": _medians(in_turns(dict(writes))),
        }
    page = next(iter(taken.values()))["lz4"]
    target = below(TOPIC, "", 20, " ms")
    # shorter threads are no test of it
    verdicts = [Verdict("20 runs of 5,000, in the column, with lz4", page, target)] if runs >= 5_000 else []
    return Part(verdicts, [section(found, taken)])


def section(found: binaries.Programs, taken: dict[str, dict[str, float]]) -> Section:
    rows = [
        [title, *(ms(one[method]) for method in METHODS), times(one["pglz"] / one["lz4"])]
        for title, one in taken.items()
    ]
    words = f"Postgres {found.version} of this machine, run by the studio (`POSTGRES_BIN`); two agents of it, one of"
    words += " which compresses as the bundled server does. In ms."
    return Section(TITLE, ["what", *METHODS, "pglz / lz4"], rows, words)


@contextmanager
def _served(programs: binaries.Programs, stage: Stage) -> Iterator[Stage]:
    with (
        database(programs=str(programs.directory)) as (home, dsn),
        studio_on(dsn, home / "studio", WEB_WORKERS="1") as server,
    ):
        yield replace(stage, server=server, home=home, browser=signed_in(server), peers={})


def _agent(there: Stage, method: str, giant: Thread) -> ServedAgent:
    agent = there.server.create_agent(f"bench-{method}")
    there.server.sql(f"alter table agno_sessions alter runs set compression {method}", schema=agent.schema)
    add(there.dsn, agent.schema, "column", [giant])
    return agent


def _medians(taken: dict[str, Taken]) -> dict[str, float]:
    return {name: one.median for name, one in taken.items()}
