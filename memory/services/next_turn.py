"""What the model is sent at a thread's next turn, for the runs of a page."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from memory.history.agno_order import Placed
from memory.history.answer import Answer, Fate
from memory.history.question import Generation, Settings
from memory.history.thread import Thread
from memory.query import Row
from memory.transcript import agno_thread
from memory.transcript.agno_thread import AgnoThread, read_newest, read_whole
from memory.transcript.runs import RunPage
from memory.transcript.stored import StoredRun

# how many runs more than the depth are read at first, since some do not count
_MORE: Final = 10
# and no more than so many, whether enough of them count or not
_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class NextTurn:
    """The answer for one speaker. Not `is_checked`: of a large thread the newest runs alone were read.

    Then nothing is known of the other runs, nor whether Agno can read them, and messages have "x" for their texts.
    """

    answer: Answer
    is_checked: bool
    rows: dict[str, str] = field(default_factory=dict, repr=False)
    runs: dict[str, Fate | None] = field(default_factory=dict, repr=False)
    summary: Any = None

    def fates(self, run: StoredRun) -> list[Fate]:
        """Return the fates of a run's messages in stored order, none if they are not known."""
        return self.answer.fates.get(self.key(run), [])

    def sends(self, run: StoredRun) -> bool:
        """Tell whether a message of this run is sent."""
        return self.key(run) in self.answer.runs

    def has_ended_badly(self, run: StoredRun) -> bool:
        """Tell whether a run is not sent because of its status, as far as it was read."""
        return self.runs.get(self.key(run)) is Fate.ENDED_BADLY

    def knows(self, run: StoredRun) -> bool:
        """Tell whether this run was read."""
        return self.key(run) in self.runs

    def key(self, run: StoredRun) -> str:
        """Return the key that the run has in the answer."""
        return self.rows.get(run.run_id or "", "") if run.position is None else f"c{run.position}"


def next_turn(thread: Row, settings: Settings, page: RunPage) -> NextTurn | None:
    """Answer for the owner of a thread, or for nobody where nobody owns it; None if it has gone.

    `thread` is a row of get_thread.
    """
    found = read_whole(thread["session_id"]) if thread["runs"] <= agno_thread.WHOLE_RUNS else None
    if found is None or not found.is_whole:
        found = _read_newest(thread, settings, page)
    if found is None:
        return None
    is_team = thread["session_type"] == "team"
    read = Thread.of_row(found.stored, Generation.of_thread(found.has_rows), is_team=is_team)
    if found.is_whole:
        read.read_runs(found.stored)
    else:
        read.add(found.runs)
    by_id = {run_id: f"t{n}" for n, run_id in enumerate(found.rows) if run_id is not None}
    runs = {run.key: run.fate for run in read.runs}
    return NextTurn(read.answer(settings, read.owner), found.is_whole, by_id, runs, found.stored.summary)


def _read_newest(thread: Row, settings: Settings, page: RunPage) -> AgnoThread | None:
    """Read the newest runs of a large thread, until enough of them count."""
    depth = max(settings.depth or 0, 0)
    of_page = _of_page(page, depth)
    limit = 0 if of_page is not None else depth + _MORE
    in_table, in_column = bool(thread["table_runs"]), bool(thread["column_runs"])
    while found := read_newest(thread["session_id"], limit, in_table=in_table, in_column=in_column):
        is_true = (in_table, in_column) == (found.has_rows, found.has_column)
        if of_page is not None and not found.has_rows:
            return replace(found, runs=of_page)
        if is_true and limit and (len(found.runs) < limit or limit > _MOST or _countable(found) >= depth):
            break
        # the index was behind, or too few of them count
        in_table, in_column, of_page = found.has_rows, found.has_column, None
        limit = limit * 4 if is_true and limit else depth + _MORE
    return found


def _of_page(page: RunPage, depth: int) -> list[Placed] | None:
    """Return the newest runs if the page has enough of them, none if no run of it is sent, and else None."""
    if page.above is None:
        return None
    if page.above >= depth:
        return []
    counted = sum(run.run.counts for run in page.runs)
    if page.above or counted < depth or not all(run.is_whole for run in page.runs):
        return None
    return [Placed(f"c{run.position}", run.value) for run in reversed(page.runs)]


def _countable(found: AgnoThread) -> int:
    read = Thread.of_row(found.stored, Generation.of_thread(found.has_rows))
    read.add(Placed(one.key, one.data) for one in found.runs)
    return len(read.countable)
