"""How far a list is from what agents have written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lag:
    """How far an index is from exact.

    `behind` is the age in seconds of the oldest write that is not in it. `left` threads are not in it, or as they were,
    because they wait to be counted whole, as after an upgrade, for about `seconds_left`; None if that is unknown.
    `failed` of them could not be counted.
    """

    behind: float = 0
    left: int = 0
    seconds_left: float | None = None
    failed: int = 0
