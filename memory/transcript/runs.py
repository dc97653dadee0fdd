"""Runs of the current schema: from the column, from the table, or from both, in the transcript's order.

A page counts all runs, sub-runs too, so that each stored run is on exactly one page; the page that
holds a run and its sub-runs shows them nested. Pages are cut so that families stay together.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from django.db import connection
from psycopg import sql

from memory.history.sent import is_sent
from memory.query import Row, fetch, patience
from memory.transcript import statements
from memory.transcript.model import SKIPPED
from memory.transcript.place import Place
from memory.transcript.stored import StoredRun, in_column, in_table, read

PAGE: Final = 20
LIMIT: Final = 200
PIECE: Final = 1_000_000
# sub-runs that move to their parent's page when a page's end would part them
_FAMILY: Final = 10

Sent = frozenset[tuple[str | None, int | None]]

NEWEST: Final = "newest"
OLDEST: Final = "oldest"


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page, in reading order. `older` and `newer` are cursors of its neighbours, None where there is none.

    `total` is of the whole thread; `shown` is how many were read when this page's end is reached, None
    where that is not known. `sent` holds the runs of this page that the model is sent at the
    next turn, as (run_id, position); it is empty when no window was asked for.
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
        """The cursor of the page that follows in reading order."""
        return self.older if self.order == NEWEST else self.newer

    @property
    def previous(self) -> str | None:
        return self.newer if self.order == NEWEST else self.older


def list_runs(
    thread: Row, cursor: str = "", limit: int = PAGE, order: str = NEWEST, anchor_run: str = "", window: int = 0
) -> RunPage:
    """Read one page of a thread's runs; `thread` is what get_thread returned.

    The page begins at the thread's end that `order` names, after `cursor`, or with `anchor_run`
    where that run exists. `window` is the number of runs that the model is sent as history.
    Raises ValueError for a cursor that was not made here.
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
        # back at the beginning with less than a page: the first page has them all
        return list_runs(thread, "", limit, order, "", window)
    behind = here is not None and (not here.inclusive or _is_more(thread, here, not newer))
    # from here on in reading order
    runs, following, preceding = (kept, ahead, behind) if onwards else (kept[::-1], behind, ahead)
    sent, sent_so_far = _sent(thread, runs, order, here, window)
    shown = _shown(here, len(runs), onwards)
    after = runs[-1].place(newer=to_newer, shown=shown, sent=sent_so_far).write() if runs and following else None
    before = runs[0].place(newer=not to_newer).write() if runs and preceding else None
    older, newest = (before, after) if to_newer else (after, before)
    return RunPage(runs, order, older, newest, thread["runs"], shown, sent)


def find_place(session_id: str, run_id: str, order: str = NEWEST) -> Place | None:
    """Where a run stands, as the beginning of a page; None where the thread does not hold it."""
    rows = fetch(sql.SQL(statements.PLACE), {"session_id": session_id, "run_id": run_id})
    return Place(**rows[0], newer=order == OLDEST, inclusive=True) if rows else None


def get_run(session_id: str, run_id: str, position: int | None = None, longest: int | None = None) -> str | None:
    """Return one run's JSON text, "" for one above `longest` bytes, None where there is no such run.

    A run of the column that has no id is named by its `position`.
    """
    statement = sql.SQL(statements.ONE_TEXT).format(source=sql.SQL(statements.ONE_RUN))
    values = {"session_id": session_id, "run_id": run_id, "position": position, "longest": longest}
    rows = fetch(statement, values)
    return rows[0]["text"] if rows else None


def stream_run(session_id: str, run_id: str, position: int | None = None) -> Iterator[str]:
    """Yield one run's JSON text in pieces of a million bytes; nothing where there is no such run."""
    source = sql.SQL(statements.ONE_RUN)
    statement = sql.SQL(statements.PIECES).format(source=source, size=sql.Literal(PIECE))
    # a cursor of the server's: the client would fetch all pieces at once
    with connection.chunked_cursor() as cursor:
        with patience():
            cursor.execute(statement, {"session_id": session_id, "run_id": run_id, "position": position})
        decoder = codecs.getincrementaldecoder("utf-8")()
        while piece := cursor.fetchone():
            yield decoder.decode(piece[0])


def iter_runs(thread: Row) -> Iterator[Iterator[str]]:
    """Yield the JSON text of each run of a thread in pieces, oldest first; needs no transaction and little memory.

    Runs that are written meanwhile may be left out.
    """
    cursor = ""
    while True:
        with patience():
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
    """How many of the fetched rows make the page: within its budget, and without parting a family."""
    within = next((n for n, row in enumerate(rows) if row.text is None and not row.too_large), len(rows))
    count = max(min(within, limit), 1 if rows else 0)
    if count == len(rows):
        return count
    ids = {row.run_id: n for n, row in enumerate(rows[:count])}
    cut = count
    # read downwards, sub-runs come before their parent: those whose parent is on the next page wait
    while cut and rows[cut - 1].parent_run_id is not None and rows[cut - 1].parent_run_id not in ids:
        cut -= 1
    # read upwards, a parent comes first: it waits when the next page begins with a sub-run of it
    cut = min(cut, ids.get(rows[count].parent_run_id or "", count))
    return cut if cut > 0 and count - cut <= _FAMILY else count


def _shown(here: Place | None, count: int, onwards: bool) -> int | None:
    """How many runs are read at a page's end, if whoever wrote the cursor had counted them."""
    if here is None:
        return count
    return here.shown + count if onwards and here.shown is not None else None


def _sent(thread: Row, runs: list[StoredRun], order: str, here: Place | None, window: int) -> tuple[Sent, int | None]:
    """The runs of a page that the model is sent, and how many of them there are down to the page's end.

    They are counted from the newest run on where the column's order is Agno's; a page that was
    reached in another way asks the database, and leaves None.
    """
    if not window or thread["session_type"] == "workflow":
        return frozenset(), None
    above = 0 if here is None else None if here.newer else here.sent
    if in_column(thread) and order == NEWEST and above is not None:
        able = [row.key for row in runs if is_sent(row.run)]
        return frozenset(able[: max(window - above, 0)]), above + len(able)
    statement = statements.SENT_TABLE if in_table(thread) else statements.SENT_MERGED
    found = fetch(sql.SQL(statement), {"session_id": thread["session_id"], "limit": window, "skipped": sorted(SKIPPED)})
    return frozenset((row["run_id"], row["position"]) for row in found) & {row.key for row in runs}, None
