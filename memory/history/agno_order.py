"""The runs of a thread in the order in which Agno reads them, out of the column, the table, or both. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from memory.history.question import Generation

# in place of a value whose JSON Python cannot read: then Agno cannot either
UNPARSED: Final = object()


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of agno_runs; `data` is its run_data."""

    run_id: str
    run_index: int | None
    created_at: int | None
    data: Any


@dataclass(frozen=True, slots=True)
class Stored:
    """A thread as stored, as values of JSON; of its row what a reader looks at.

    `table` is None where there is no table of runs, `column` None where there is no such column. `is_sorted` says that
    Postgres has put the rows in Agno's order, by its own order of texts.
    """

    owner: str | None = None
    session_type: str | None = "agent"
    summary: Any = None
    session_data: Any = None
    metadata: Any = None
    column: Any = None
    table: Sequence[TableRow] | None = None
    is_sorted: bool = False


@dataclass(slots=True)
class Placed:
    """A stored run that Agno reads. `key` is c3 for element 3 of the column, t0 for the first row of the table."""

    key: str
    data: Any


@dataclass(slots=True)
class Ordered:
    """The runs in order, and those that Agno leaves out, as (key, run, whether a row stands in for it)."""

    runs: list[Placed] = field(default_factory=list)
    left_out: list[tuple[str, Any, bool]] = field(default_factory=list)


def in_order(stored: Stored, generation: Generation, is_team: bool = False) -> Ordered:
    """Put a thread's runs in order; raises what `readable` names where Agno cannot read the list of them."""
    column, table = stored.column, stored.table
    if generation is not Generation.V3 or table is None:
        found = _array(_elements(column, generation))
        found.left_out += [(f"t{n}", row.data, False) for n, row in enumerate(table or ())]
        return found
    rows = [Placed(f"t{n}", table[n].data) for n in _sorted(stored)]
    if column:
        return _merged(_parsed(column), rows)
    if is_team or stored.session_type != "agent":
        return _array(rows)
    return Ordered(rows)


def _sorted(stored: Stored) -> list[int]:
    rows = stored.table or ()
    if stored.is_sorted:
        return list(range(len(rows)))

    def place(n: int) -> tuple[bool, int, bool, int, str]:
        row = rows[n]
        return (
            *(row.run_index is None, row.run_index or 0),
            *(row.created_at is None, row.created_at or 0),
            row.run_id,
        )

    return sorted(range(len(rows)), key=place)


def _elements(column: Any, generation: Generation) -> list[Placed]:
    if column is None or (not column and generation is not Generation.V2_5):
        return []
    # what has no first element cannot be read
    column[0]
    return [Placed(f"c{n}", data) for n, data in enumerate(column)]


def _array(runs: list[Placed]) -> Ordered:
    """Take the runs of an array: Agno looks at its first element, and sees none if that is no object."""
    if runs and not isinstance(runs[0].data, dict):
        return Ordered([], [(run.key, run.data, False) for run in runs])
    return Ordered(runs)


def _parsed(column: Any) -> Any:
    """Return the elements of a column; one that is a text may hold them as JSON."""
    if not isinstance(column, str):
        return column
    try:
        return json.loads(column)
    except ValueError:
        return None


def _merged(column: Any, rows: list[Placed]) -> Ordered:
    """Put the column first, with rows in place of the elements that have their run_id, then the other rows."""
    if not column:
        return _array(rows)
    by_id = {_run_id(row): row for row in rows if _run_id(row) is not None}
    found, seen = Ordered(), set()
    for n, element in enumerate(column):
        here = Placed(f"c{n}", element)
        run_id = _run_id(here)
        if run_id is None:
            found.left_out.append((here.key, element, False))
            continue
        seen.add(run_id)
        found.runs.append(by_id.get(run_id, here))
        if run_id in by_id:
            found.left_out.append((here.key, element, True))
    for row in rows:
        if (run_id := _run_id(row)) is None:
            found.left_out.append((row.key, row.data, False))
        elif run_id not in seen:
            found.runs.append(row)
    return found


def _run_id(run: Placed) -> Any:
    if run.data is UNPARSED:
        raise TypeError("no JSON")
    return run.data.get("run_id") if isinstance(run.data, dict) else None
