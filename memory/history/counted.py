"""The runs of a thread, and which of them a depth counts: the run itself says so, not its row. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from memory.history.answer import Fate
from memory.history.question import Generation

_BADLY: Final = ("PAUSED", "CANCELLED", "ERROR")


@dataclass(slots=True)
class Run:
    """A stored run. `fate` says why none of it is sent, None if it counts; `copies` are places of messages."""

    key: str
    messages: list[dict[str, Any]]
    copies: frozenset[int] = frozenset()
    fate: Fate | None = None


def run_fate(fields: dict[str, Any], generation: Generation, is_team: bool = False) -> Fate | None:
    """Tell why none of a run is sent, None if it counts."""
    if fields.get("parent_run_id") is not None:
        return Fate.SUB_RUN
    knows_regenerated = generation is Generation.V3 or (generation is Generation.V2_9 and not is_team)
    # exact words; any other status counts
    if fields.get("status") in ((*_BADLY, "REGENERATED") if knows_regenerated else _BADLY):
        return Fate.ENDED_BADLY
    return None


def counts_in_column(run: dict[str, Any]) -> bool:
    """Tell whether Agno 2.5 counts an element of the column."""
    return ("agent_id" in run or "team_id" in run) and run_fate(unwrapped(run), Generation.V2_5) is None


def unwrapped(run: dict[str, Any]) -> dict[str, Any]:
    """Return the run in an early wrapping, any other as it is."""
    return run["run"] if "agent_id" in run and isinstance(run.get("run"), dict) else run
