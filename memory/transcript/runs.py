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
from memory.index.threads import get_thread
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

_NEWEST, _OLDEST = "newest", "oldest"


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page. `older` and `newer` are tokens of its neighbours, "" where there is none.

    `total` is of the whole thread; `shown` is how many were read when this page's end is reached, -1
    where that is not known. `sent` holds the runs of this page that the model is sent at the
    next turn, as (run_id, position); it is empty when no window was asked for.
    """

    runs: list[StoredRun]
    older: str
    newer: str
    total: int
    shown: int = -1
    sent: Sent = frozenset()


def list_runs(
    thread: Row, cursor: str = "", limit: int = PAGE, order: str = _NEWEST, anchor_run: str = "", window: int = 0
) -> RunPage:
    """Read one page of a thread's runs; `thread` is what get_thread returned.

    The page begins at the thread's end that `order` names, after `cursor`, or with `anchor_run`
    where that run exists. `window` is the number of runs that the model is sent as history.
    Raises ValueError for a cursor that was not made here.
    """
    here = (find_place(thread["session_id"], anchor_run, order) if anchor_run else None) or Place.read(cursor)
    upwards = order == _OLDEST
    newer = here.newer if here else upwards
    forward = newer == upwards
    limit = min(max(limit, 1), LIMIT)
    rows = read(thread, here, newer, limit)
    kept = rows[: _fitting(rows, limit)]
    ahead = len(kept) < len(rows)
    if not forward and not ahead:
        # back at the beginning with less than a page: the first page has them all
        return list_runs(thread, "", limit, order, "", window)
    behind = here is not None and (not here.inclusive or _is_more(thread, here, not newer))
    runs = kept if forward else kept[::-1]
    sent, counted = _sent(thread, runs, order, here, window)
    above = (here.shown if forward else -1) if here else 0
    shown = above + len(runs) if above >= 0 else -1
    previous = runs[0].place(newer=not upwards).write() if runs and (behind if forward else ahead) else ""
    following = (
        runs[-1].place(newer=upwards, shown=shown, sent=counted).write()
        if runs and (ahead if forward else behind)
        else ""
    )
    older, newest = (previous, following) if upwards else (following, previous)
    return RunPage(runs, older, newest, thread["runs"], shown, sent)


def find_place(session_id: str, run_id: str, order: str = _NEWEST) -> Place | None:
    """Where a run stands, as the beginning of a page; None where the thread does not hold it."""
    rows = fetch(sql.SQL(statements.PLACE), {"session_id": session_id, "run_id": run_id})
    return Place(**rows[0], newer=order == _OLDEST, inclusive=True) if rows else None


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


def iter_runs(session_id: str) -> Iterator[Iterator[str]]:
    """Yield every run's JSON text in pieces, oldest first; needs no transaction and little memory.

    Runs that are written meanwhile may be left out.
    """
    thread = get_thread(session_id)
    cursor = ""
    while thread:
        with patience():
            page = list_runs(thread, cursor, LIMIT, _OLDEST)
        for stored in page.runs:
            if stored.text is None:
                yield stream_run(session_id, stored.run_id or "", stored.position)
            else:
                yield iter((stored.text,))
        cursor = page.newer
        if not cursor:
            return


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


def _sent(thread: Row, runs: list[StoredRun], order: str, here: Place | None, window: int) -> tuple[Sent, int]:
    """The runs of a page that the model is sent, and how many of them there are down to the page's end.

    They are counted from the newest run on where the column's order is Agno's; a page that was
    reached in another way asks the database, and leaves -1.
    """
    if not window or thread["session_type"] == "workflow":
        return frozenset(), -1
    above = (here.sent if not here.newer else -1) if here else 0
    if in_column(thread) and order == _NEWEST and above >= 0:
        able = [row.key for row in runs if is_sent(row.run)]
        return frozenset(able[: max(window - above, 0)]), above + len(able)
    statement = statements.SENT_TABLE if in_table(thread) else statements.SENT_MERGED
    found = fetch(sql.SQL(statement), {"session_id": thread["session_id"], "limit": window, "skipped": sorted(SKIPPED)})
    return frozenset((row["run_id"], row["position"]) for row in found) & {row.key for row in runs}, -1
