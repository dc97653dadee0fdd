"""Where a page of a transcript begins: a run's place in its thread, and the way that the page goes from it."""

from dataclasses import astuple, dataclass
from typing import Any, Final

from studio import token

_KIND: Final = "runs"
_COUNT: Final = (int, type(None))
_TYPES: Final = ((int,), (int,), (str, type(None)), _COUNT, (bool,), (bool,), _COUNT, _COUNT)


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place in the order of its thread.

    `position` is its index in the column, None for a run of the table. `newer` pages go up from
    here, others down; with `inclusive` they begin with this run. `shown` counts the runs that come
    before this place in the order of reading, and `sent` those among them that the model is sent;
    None where nobody has counted.
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
        """Read a cursor that `write` made; "" is the thread's end, anything else raises ValueError."""
        return cls(*token.unpack(text, _KIND, *_TYPES)) if text else None

    def write(self) -> str:
        return token.pack(_KIND, *astuple(self))

    @property
    def values(self) -> dict[str, Any]:
        """The place as the values that a statement compares rows with."""
        return {
            "at": self.created_at,
            "index": self.run_index,
            "id": self.run_id,
            "no_id": self.run_id is None,
            "position": -1 if self.position is None else self.position,
        }
