"""Pages of a thread's runs in the current schema, from the column, the table, or both.

Sub-runs count as runs, so that each stored run is on exactly one page. A page ends earlier if that keeps a
run and its sub-runs on one page, where they are shown nested.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from django.db import connection
from psycopg import sql

from memory.history.sent import is_sent
from memory.query import Row, fetch, long_statements
from memory.transcript import statements
from memory.transcript.model import SKIPPED
from memory.transcript.place import Place
from memory.transcript.stored import StoredRun, in_column, in_table, read

PAGE: Final = 20
LIMIT: Final = 200
PIECE: Final = 1_000_000
# at most so many runs move to the next page, so that a run stays with its sub-runs
_FAMILY: Final = 10

Sent = frozenset[tuple[str | None, int | None]]

NEWEST: Final = "newest"
OLDEST: Final = "oldest"


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of runs in reading order; `older` and `newer` are the cursors of its neighbours, or None.

    `total` is the number of runs in the thread; `shown` the number of those up to the end of this page,
    None if unknown. `sent` are the runs of this page that the model is sent at the next turn, as
    (run_id, position); it is empty without a window.
    """

    runs: list[StoredRun]
    order: str
    older: str | None
    newer: str | None
    total: int
    shown: int | None = None
    sent: Sent = frozenset()

    @property
    def next(self) -> str | None:
        """The cursor of the next page in reading order."""
        return self.older if self.order == NEWEST else self.newer

    @property
    def previous(self) -> str | None:
        return self.newer if self.order == NEWEST else self.older


def list_runs(
    thread: Row, cursor: str = "", limit: int = PAGE, order: str = NEWEST, anchor_run: str = "", window: int = 0
) -> RunPage:
    """Read one page of a thread's runs; `thread` is a row of get_thread.

    The page begins with `anchor_run` if the thread has that run, else after `cursor`, else with the first
    run in `order`. `window` is the number of runs that the model is sent as history. Raises ValueError for
    a cursor that was not made here.
    """
    here = (find_place(thread["session_id"], anchor_run, order) if anchor_run else None) or Place.read(cursor)
    to_newer = order == OLDEST
    newer = here.newer if here else to_newer
    onwards = newer == to_newer
    limit = min(max(limit, 1), LIMIT)
    rows = read(thread, here, newer, limit)
    kept = rows[: _fitting(rows, limit)]
    ahead = len(kept) < len(rows)
    if not onwards and not ahead:
        # less than a page is left before the beginning: the first page shows all of it
        return list_runs(thread, "", limit, order, "", window)
    behind = here is not None and (not here.inclusive or _is_more(thread, here, not newer))
    # rows come in the order in which they were read; a page is always in reading order
    runs, following, preceding = (kept, ahead, behind) if onwards else (kept[::-1], behind, ahead)
    sent, sent_so_far = _sent(thread, runs, order, here, window)
    shown = _shown(here, len(runs), onwards)
    after = runs[-1].place(newer=to_newer, shown=shown, sent=sent_so_far).write() if runs and following else None
    before = runs[0].place(newer=not to_newer).write() if runs and preceding else None
    older_and_newer = (before, after) if to_newer else (after, before)
    return RunPage(runs, order, *older_and_newer, thread["runs"], shown, sent)


def find_place(session_id: str, run_id: str, order: str = NEWEST) -> Place | None:
    """Return the place of a run as the beginning of a page, None if the thread does not have it."""
    rows = fetch(sql.SQL(statements.PLACE), {"session_id": session_id, "run_id": run_id})
    return Place(**rows[0], newer=order == OLDEST, inclusive=True) if rows else None


def get_run(session_id: str, run_id: str, position: int | None = None, longest: int | None = None) -> str | None:
    """Return one run's JSON text, "" if it has more than `longest` bytes, None if there is no such run.

    A run of the column that has no id is found by its `position`.
    """
    statement = sql.SQL(statements.ONE_TEXT).format(source=sql.SQL(statements.ONE_RUN))
    values = {"session_id": session_id, "run_id": run_id, "position": position, "longest": longest}
    rows = fetch(statement, values)
    return rows[0]["text"] if rows else None


def stream_run(session_id: str, run_id: str, position: int | None = None) -> Iterator[str]:
    """Yield one run's JSON text in pieces of a million bytes; nothing if there is no such run."""
    source = sql.SQL(statements.ONE_RUN)
    statement = sql.SQL(statements.PIECES).format(source=source, size=sql.Literal(PIECE))
    # a cursor on the server, because without one the client fetches all pieces at once
    with connection.chunked_cursor() as cursor:
        with long_statements():
            cursor.execute(statement, {"session_id": session_id, "run_id": run_id, "position": position})
        # a character may be cut in two by the end of a piece
        decoder = codecs.getincrementaldecoder("utf-8")()
        while piece := cursor.fetchone():
            yield decoder.decode(piece[0])


def iter_runs(thread: Row) -> Iterator[Iterator[str]]:
    """Yield the JSON text of each run of a thread in pieces, oldest first.

    Runs that are written meanwhile may be left out.
    """
    # page by page, so that a long thread needs neither a long transaction nor much memory
    cursor = ""
    while True:
        with long_statements():
            page = list_runs(thread, cursor, LIMIT, OLDEST)
        for stored in page.runs:
            if stored.text is None:
                yield stream_run(thread["session_id"], stored.run_id or "", stored.position)
            else:
                yield iter((stored.text,))
        if page.newer is None:
            return
        cursor = page.newer


def _is_more(thread: Row, here: Place, newer: bool) -> bool:
    return bool(read(thread, replace(here, inclusive=False), newer, 0))


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


def _shown(here: Place | None, count: int, onwards: bool) -> int | None:
    """Return the number of runs up to a page's end, None if the cursor does not say how many came before."""
    if here is None:
        return count
    return here.shown + count if onwards and here.shown is not None else None


def _sent(thread: Row, runs: list[StoredRun], order: str, here: Place | None, window: int) -> tuple[Sent, int | None]:
    """Return the runs of a page that the model is sent, and their number from the newest run to the page's end.

    The number is None unless all runs are in the column and the pages were read from the newest run on.
    """
    # runs of a workflow are never sent as history
    if not window or thread["session_type"] == "workflow":
        return frozenset(), None
    above = 0 if here is None else None if here.newer else here.sent
    # the usual case needs no query: the page has the runs, and the cursor the count before them
    if in_column(thread) and order == NEWEST and above is not None:
        able = [row.key for row in runs if is_sent(row.run)]
        return frozenset(able[: max(window - above, 0)]), above + len(able)
    statement = statements.SENT_TABLE if in_table(thread) else statements.SENT_MERGED
    found = fetch(sql.SQL(statement), {"session_id": thread["session_id"], "limit": window, "skipped": sorted(SKIPPED)})
    return frozenset((row["run_id"], row["position"]) for row in found) & {row.key for row in runs}, None
