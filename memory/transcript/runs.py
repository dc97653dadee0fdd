"""Pages of a thread's runs in the current schema, from the column, the table, or both.

Sub-runs count as runs, so that each stored run is on exactly one page. A page ends earlier if that keeps a
run and its sub-runs on one page, where they are shown nested.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from memory.query import Row, fetch, long_statements
from memory.transcript import statements
from memory.transcript.pieces import stream
from memory.transcript.place import Place
from memory.transcript.stored import StoredRun, in_column, ordered, read
from memory.transcript.values import LONGEST_RUN_ID
from studio import ids

PAGE: Final = 20
LIMIT: Final = 200
# at most so many runs move to the next page, so that a run stays with its sub-runs
_FAMILY: Final = 10

NEWEST: Final = "newest"
OLDEST: Final = "oldest"


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of runs in reading order; `older` and `newer` are the cursors of its neighbours, or None.

    `total` is the number of runs in the thread, `left` the number of those after this page in reading order. `above`
    is the number of newer runs that a depth of history counts; None unless all are in the column, and were read from
    the newest on.
    """

    runs: list[StoredRun]
    order: str
    older: str | None
    newer: str | None
    total: int
    left: int = 0
    above: int | None = None

    @property
    def next(self) -> str | None:
        """The cursor of the next page in reading order."""
        return self.older if self.order == NEWEST else self.newer

    @property
    def previous(self) -> str | None:
        return self.newer if self.order == NEWEST else self.older


def list_runs(thread: Row, here: Place | None = None, limit: int = PAGE, order: str = NEWEST) -> RunPage:
    """Read one page of a thread's runs; `thread` is a row of get_thread.

    The page begins at a place, else with the first run in `order`.
    """
    to_newer = order == OLDEST
    newer = here.newer if here else to_newer
    onwards = newer == to_newer
    limit = min(max(limit, 1), LIMIT)
    rows, indexed = read(thread, here, newer, limit)
    kept = rows[: _fitting(rows, limit)]
    ahead = len(kept) < len(rows)
    if not onwards and not ahead:
        # less than a page is left before the beginning: the first page shows all of it
        return list_runs(thread, None, limit, order)
    # rows come in the order in which they were read; a page is always in reading order
    runs = kept if onwards else kept[::-1]
    if not runs:
        return RunPage([], order, None, None, thread["runs"])
    first, last = runs[0].place, runs[-1].place
    above, with_page = _above(thread | {"indexed": indexed}, runs, order, here)
    end = thread["runs"] - 1
    left = max(end - last if to_newer else last, 0)
    after = Place(last, to_newer, above=with_page).write() if (ahead if onwards else left) else None
    before = Place(first, not to_newer).write() if (first > 0 if to_newer else first < end) else None
    older_and_newer = (before, after) if to_newer else (after, before)
    return RunPage(runs, order, *older_and_newer, thread["runs"], left, above)


def find_place(thread: Row, run_id: str, position: int | None = None, order: str = NEWEST) -> Place | None:
    """Return the place of a run as the beginning of a page, None if the thread does not have it.

    Of several runs with one id the one at this position of the column is meant.
    """
    run_id = ids.key_of(run_id, LONGEST_RUN_ID)
    values = {"session_id": thread["session_id"], "run_id": run_id, "position": position, "limit": None, "place": None}
    for source in (statements.INDEXED, statements.UNINDEXED) if thread["indexed"] else (statements.UNINDEXED,):
        rows = fetch(sql.SQL(statements.PLACE).format(source=ordered(source, None, newer=True)), values)
        if rows:
            return Place(rows[0]["place"], order == OLDEST, inclusive=True)
    return None


def stored_by_themselves(thread: Row, run_ids: set[str]) -> frozenset[str]:
    """Return those of these ids that runs of the thread have, which other runs may hold copies of."""
    if not run_ids or not thread["indexed"]:
        return frozenset()
    values = {"session_id": thread["session_id"], "ids": list(run_ids)}
    return frozenset(row["run_id"] for row in fetch(statements.BY_THEMSELVES, values))


def get_run(session_id: str, run_id: str, position: int | None = None, longest: int | None = None) -> str | None:
    """Return one run's JSON text, "" if it has more than `longest` bytes, None if there is no such run.

    `position` tells runs of the column with the same id apart, or without one.
    """
    source, values = _one_run(session_id, run_id, position)
    rows = fetch(sql.SQL(statements.ONE_TEXT).format(source=source), values | {"longest": longest})
    return rows[0]["text"] if rows else None


def stream_run(session_id: str, run_id: str, position: int | None = None) -> Iterator[str]:
    """Yield one run's JSON text in pieces of a million bytes; nothing if there is no such run."""
    source, values = _one_run(session_id, run_id, position)
    return stream(source, values)


def _one_run(session_id: str, run_id: str, position: int | None) -> tuple[sql.Composable, dict[str, Any]]:
    """Return the SQL that selects one run, and its values; its id may be given by its key."""
    run_id = ids.key_of(run_id, LONGEST_RUN_ID)
    # plain, so that the index of run ids answers it
    is_run = sql.SQL(statements.IS_KEY if ids.is_key(run_id) else "r.run_id = %(run_id)s")
    values = {"session_id": session_id, "run_id": run_id, "position": position}
    return sql.SQL(statements.ONE_RUN).format(is_run=is_run), values


def iter_runs(thread: Row) -> Iterator[Iterator[str]]:
    """Yield the JSON text of each run of a thread in pieces, oldest first.

    Runs that are written meanwhile may be left out.
    """
    # page by page, so that a long thread needs neither a long transaction nor much memory
    here: Place | None = None
    while True:
        with long_statements():
            page = list_runs(thread, here, LIMIT, OLDEST)
        for stored in page.runs:
            if stored.text is None or not stored.is_whole:
                yield stream_run(thread["session_id"], stored.run_id or "", stored.position)
            else:
                yield iter((stored.text,))
        if page.newer is None:
            return
        here = Place.read(page.newer)


def _fitting(rows: list[StoredRun], limit: int) -> int:
    """Return how many of the fetched rows fit on the page, without parting a run from its sub-runs."""
    within = next((n for n, row in enumerate(rows) if row.text is None and not row.too_large), len(rows))
    count = max(min(within, limit), 1 if rows else 0)
    if count == len(rows):
        return count
    ids = {row.run_id: n for n, row in enumerate(rows[:count])}
    cut = count
    # Newest first, sub-runs come before their parent: if it is on the next page, they go there too.
    while cut and rows[cut - 1].parent_run_id is not None and rows[cut - 1].parent_run_id not in ids:
        cut -= 1
    # Oldest first, a parent comes first: if the next page begins with a sub-run of it, it goes there too.
    cut = min(cut, ids.get(rows[count].parent_run_id or "", count))
    return cut if cut > 0 and count - cut <= _FAMILY else count


def _above(thread: Row, runs: list[StoredRun], order: str, here: Place | None) -> tuple[int | None, int | None]:
    """Return the number of runs above a page that a depth counts, and with those of the page; None if unknown."""
    above = 0 if here is None else None if here.newer else here.above
    # of a run that is too large little was read
    if above is None or order != NEWEST or not in_column(thread) or any(row.too_large for row in runs):
        return None, None
    return above, above + sum(row.run.counts for row in runs)
