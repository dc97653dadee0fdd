"""Medians over an agent's latest threads, for the advice on the Memory tab."""

from dataclasses import dataclass
from typing import Final

from psycopg import sql

from memory.index import feed

LATEST: Final = 200
# a rough average, good enough to choose a number of runs
BYTES_PER_TOKEN: Final = 4

# The limit comes before the filter, so that the index on last_at is read for 200 rows only.
_SQL: Final = """
with latest as materialized (
    select runs, tool_calls, tokens, text_bytes, has_summary, last_at
    from memory_thread order by last_at desc, session_id desc limit %(latest)s
)
select count(*) as threads, count(*) filter (where has_summary) as with_summary, max(last_at) as last_at,
    coalesce(percentile_disc(0.5) within group (order by runs), 0) as runs,
    coalesce(percentile_cont(0.5) within group (
        order by least(nullif(tokens, 0), text_bytes / %(bytes)s)::float / runs), 0) as run_tokens,
    coalesce(percentile_cont(0.5) within group (order by tool_calls::float / runs), 0) as run_tool_calls,
    coalesce(array_agg(runs order by runs), '{{}}') as all_runs, {waits}
from latest where runs > 0
"""


@dataclass(frozen=True, slots=True)
class ThreadStats:
    """Medians over the latest threads that have a run.

    `run_tokens` is an upper bound for what one run adds to a history, the smaller of two figures: the tokens
    billed for it, which include its own instructions and history, and the size of its stored messages, which
    includes their metadata. `all_runs` are the numbers of runs of these threads, ascending; `last_at` is in
    epoch seconds as the agent wrote it.
    """

    threads: int
    with_summary: int
    last_at: int | None
    runs: int
    run_tokens: float
    run_tool_calls: float
    all_runs: list[int]

    def at(self, depth: int) -> "Window":
        """Estimate a history of `depth` runs."""
        whole = sum(runs <= depth for runs in self.all_runs)
        return Window(
            depth=depth,
            tokens=depth * self.run_tokens,
            tool_calls=round(depth * self.run_tool_calls),
            percent_whole=100 * whole // self.threads if self.threads else 0,
        )


@dataclass(frozen=True, slots=True)
class Window:
    """What a history of `depth` runs adds to a turn; `percent_whole` of the latest threads have no more runs."""

    depth: int
    tokens: float
    tool_calls: int
    percent_whole: int


def latest_threads() -> ThreadStats:
    """Measure the latest threads by last activity in the current schema."""
    statement = sql.SQL(_SQL).format(waits=sql.SQL(feed.WAITS))
    rows, _ = feed.read_fresh(statement, {"latest": LATEST, "bytes": BYTES_PER_TOKEN})
    return ThreadStats(**rows[0])
