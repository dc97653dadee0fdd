"""The cursor of a transcript: a run's place in its thread, and the direction of the page that begins there."""

from dataclasses import astuple, dataclass
from typing import Final

from studio import token

_KIND: Final = "places"
_TYPES: Final = ((int,), (bool,), (bool,), (int, type(None)))


@dataclass(frozen=True, slots=True)
class Place:
    """A run's number in the order of its thread, from 0.

    With `newer` the page has newer runs, else older ones; with `inclusive` it begins with this run. `above` is the
    number of newer runs that a depth of history counts, None if unknown.
    """

    place: int
    newer: bool = False
    inclusive: bool = False
    above: int | None = None

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """Read a cursor that `write` made; None for "", the beginning. Raises ValueError for any other text."""
        return cls(*token.unpack(text, _KIND, *_TYPES)) if text else None

    def write(self) -> str:
        return token.pack(_KIND, *astuple(self))
