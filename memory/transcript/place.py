"""The cursor of a transcript: a run's place in its thread, and the direction of the page that begins there."""

from dataclasses import astuple, dataclass
from typing import Any, Final

from studio import token

_KIND: Final = "runs"
_COUNT: Final = (int, type(None))
_TYPES: Final = ((int,), (int,), (str, type(None)), _COUNT, (bool,), (bool,), _COUNT, _COUNT)


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place in the order of its thread.

    `position` is its index in the column, None for a run in the table. With `newer` the page has newer
    runs, else older ones; with `inclusive` it begins with this run. `shown` is the number of runs before
    this place in reading order, and `sent` the number of those that the model is sent, None if unknown.
    """

    created_at: int
    run_index: int
    run_id: str | None
    position: int | None
    newer: bool = False
    inclusive: bool = False
    shown: int | None = None
    sent: int | None = None

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """Read a cursor that `write` made; None for "", the beginning. Raises ValueError for any other text."""
        return cls(*token.unpack(text, _KIND, *_TYPES)) if text else None

    def write(self) -> str:
        return token.pack(_KIND, *astuple(self))

    @property
    def values(self) -> dict[str, Any]:
        """The values of the place that a statement compares rows with."""
        return {
            "at": self.created_at,
            "index": self.run_index,
            "id": self.run_id,
            "no_id": self.run_id is None,
            "position": -1 if self.position is None else self.position,
        }
