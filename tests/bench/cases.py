"""The pages of the benchmark: how each contender is asked for the same rows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from memory.index.paging import Cursor
from tests.bench.measure import Query
from tests.bench.shape import NOW, Layout, Shape
from tests.bench.targets import Target, above, below

PAGE: Final = 50
RUNS: Final = 20
MILLION: Final = 1_000_000

_THREADS: Final = """
    select t.session_id, t.name, t.first_text, t.last_text, t.user_id, t.users, t.runs, t.messages, t.tool_calls,
        t.errors, t.tokens, t.last_status, t.last_at from memory_thread t"""
_BY_ACTIVITY: Final = "order by t.last_at desc, t.session_id desc limit 50"
_USERS: Final = (
    "select user_id, threads, runs, first_at, seen_at from memory_user order by {} desc, user_key desc limit 50"
)
_USER: Final = f"""{_THREADS} join memory_participant p using (session_id)
    where p.user_key = memory_key(%(user)s) order by p.last_at desc, p.session_id desc limit 50"""
_TABLE_RUNS: Final = """
    select run_data::text from agno_runs where session_id = %(id)s
    order by created_at desc, coalesce(run_index, 0) desc, run_id desc limit %(runs)s"""
_COLUMN_RUNS: Final = """
    select jsonb_path_query_array(runs, %(slice)s::jsonpath)::text from agno_sessions where session_id = %(id)s"""


@dataclass(frozen=True)
class Case:
    """One page: `ours` a path below the agent's, `raw` a query, `peer` a path by version of the peers that have it."""

    key: str
    title: str
    layout: str
    ours: str
    raw: tuple[str, dict[str, Any]] | None = None
    peer: dict[str, str] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    first_byte: bool = False

    def ask_raw(self, query: Query) -> Callable[[], None] | None:
        return query(*self.raw) if self.raw else None


def cases(
    shape: Shape, place: Callable[[str, int], tuple[int, str]], layouts: tuple[Layout, ...] = ("column", "table")
) -> list[Case]:
    """List the pages for a shape; `place` returns last_at and id of the thread at a row of the list, by layout.

    Lists do not care where runs are kept: they are those of the first of the layouts, the short thread of the last.
    """
    lists, runs = layouts[0], layouts[-1]
    half = shape.threads // 2
    giant, small = shape.session_id(shape.giants[0]), shape.session_id(_six_runs(shape))
    second, middle = (_cursor(place(lists, row), row) for row in (PAGE, half))
    heavy = shape.heavy_user
    since = NOW - 30 * 86_400
    both = ("2.5.14", "3.1.10")
    at_length = shape.threads >= MILLION and shape.length >= 1

    def sessions(query: str) -> dict[str, str]:
        return dict.fromkeys(both, f"/sessions?type=agent&limit={PAGE}{query}")

    last = f"$[{shape.giant_runs - RUNS} to {shape.giant_runs - 1}]"
    after = "(t.last_at, t.session_id) < (%(at)s, %(id)s)"
    at, session_id = place(lists, half)
    return [
        Case(
            "newest",
            "Threads, newest 50",
            lists,
            "threads/",
            (f"{_THREADS} {_BY_ACTIVITY}", {}),
            sessions("&page=1"),
            (below("A list", "raw", 12), *([above("AgentOS beside a list", "peer", 40)] if at_length else [])),
        ),
        Case(
            "giant",
            f"… with a thread of {shape.giant_runs:,} runs on the page",
            lists,
            f"threads/?cursor={second}",
            (f"{_THREADS} where {after} {_BY_ACTIVITY}", dict(zip(("at", "id"), place(lists, PAGE), strict=True))),
            sessions("&page=2"),
            # another page that is not the first, and has no giant on it
            (below("Long threads in a list", "middle", 1),),
        ),
        Case(
            "user",
            f"One user's threads (who has {shape.heavy:,})",
            lists,
            f"users/{heavy}/",
            (_USER, {"user": heavy}),
            sessions(f"&page=1&user_id={heavy}"),
        ),
        Case(
            "middle",
            f"The page at row {half:,}",
            lists,
            f"threads/?cursor={middle}",
            (f"{_THREADS} where {after} {_BY_ACTIVITY}", {"at": at, "id": session_id}),
            sessions(f"&page={half // PAGE + 1}"),
            (below("Depth and size", "newest", 1.1),),
        ),
        Case(
            "filter",
            "Failed threads of 30 days",
            lists,
            f"threads/?status=ERROR&since={since}",
            (f"{_THREADS} where t.last_status = 'ERROR' and t.last_at >= %(since)s {_BY_ACTIVITY}", {"since": since}),
        ),
        Case(
            "users",
            "Users, 50 last seen, with counts",
            lists,
            "users/",
            (_USERS.format("seen_at"), {}),
            targets=(below("Users", "raw", 10),),
        ),
        Case(
            "users-most",
            "Users, 50 with most threads",
            lists,
            "users/?sort=threads",
            (_USERS.format("threads"), {}),
            targets=(below("Users", "raw", 10),),
        ),
        Case(
            "giant-table",
            f"{RUNS} runs of {shape.giant_runs:,}, in the table",
            "table",
            f"threads/{giant}/",
            (_TABLE_RUNS, {"id": giant, "runs": RUNS}),
            {"3.1.10": f"/sessions/{giant}/runs?type=agent"},
            (above("A long thread, in the table", "peer", 60),),
        ),
        Case(
            "giant-column",
            f"{RUNS} runs of {shape.giant_runs:,}, in the column",
            "column",
            f"threads/{giant}/",
            (_COLUMN_RUNS, {"id": giant, "slice": last}),
            {"2.5.14": f"/sessions/{giant}/runs?type=agent"},
            (below("A long thread, in the column", "raw", 1.25),),
        ),
        Case(
            "first-paint",
            f"First byte of the thread of {shape.giant_runs:,} runs",
            lists,
            f"threads/{giant}/",
            targets=(below("First byte", "small-first", 1),),
            first_byte=True,
        ),
        Case("small-first", "First byte of a thread of 6 runs", lists, f"threads/{small}/", first_byte=True),
        Case(
            "small",
            "All of a thread of 6 runs",
            runs,
            f"threads/{small}/",
            (_TABLE_RUNS, {"id": small, "runs": RUNS})
            if runs == "table"
            else (_COLUMN_RUNS, {"id": small, "slice": f"$[0 to {RUNS - 1}]"}),
            dict.fromkeys(both, f"/sessions/{small}/runs?type=agent"),
        ),
        Case("memory", "Memory tab", lists, "memory/"),
    ]


def _six_runs(shape: Shape) -> int:
    return next(thread.number for thread in shape.threads_made(100) if len(thread.runs) == 6)


def _cursor(at: tuple[int, str], row: int) -> str:
    return Cursor("threads:activity", *at, start=row + 1).write()
