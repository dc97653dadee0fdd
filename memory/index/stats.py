"""Counts of an agent's latest threads, for the advice on the Memory tab."""

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
    select runs, tool_calls, has_summary, last_at
    from memory_thread order by last_at desc, session_id desc limit %(latest)s
)
select count(*) as threads, count(*) filter (where has_summary) as with_summary, max(last_at) as last_at,
    coalesce(percentile_disc(0.5) within group (order by tool_calls), 0) as tool_calls,
    coalesce(max(tool_calls), 0) as most_tool_calls,
    coalesce(array_agg(runs order by runs), '{{}}') as all_runs, {waits}
from latest where runs > 0
"""


@dataclass(frozen=True, slots=True)
class ThreadStats:
    """Counts of the latest threads that have a run; nothing here is an estimate of what a model is sent.

    `tool_calls` is the median; `all_runs` are the numbers of runs, ascending; `last_at` is in epoch seconds as the
    agent wrote it.
    """

    threads: int
    with_summary: int
    last_at: int | None
    tool_calls: int
    most_tool_calls: int
    all_runs: list[int]

    @property
    def runs(self) -> int:
        """The median of the numbers of runs, the lower one of two."""
        return self.all_runs[(len(self.all_runs) - 1) // 2] if self.all_runs else 0

    def percent_within(self, depth: int) -> int:
        """Return how many of the threads have no more than `depth` runs."""
        within = sum(runs <= depth for runs in self.all_runs)
        return 100 * within // self.threads if self.threads else 0


def latest_threads() -> ThreadStats:
    """Measure the latest threads by last activity in the current schema."""
    rows, _ = feed.read_fresh(sql.SQL(_SQL).format(waits=sql.SQL(feed.WAITS)), {"latest": LATEST})
    return ThreadStats(**rows[0])
