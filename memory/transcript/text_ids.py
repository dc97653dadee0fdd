"""Names for the texts of a run, so that a page can ask for one of them again."""

import itertools
from typing import Final, TypeVar

from memory.transcript.model import Text

T = TypeVar("T")

# 2 MB of JSON hold 60,000 messages of one letter, which no page survives
MOST_ITEMS: Final = 1_000


class Paths:
    """Numbers for the texts of a run and of those inside it, in the order in which they are read.

    Counts what is read, too: `unread` are messages, calls, steps and runs beyond MOST_ITEMS.
    """

    def __init__(self) -> None:
        self._next = itertools.count()
        self._left = MOST_ITEMS
        self.unread = 0

    def take(self, stored: list[T]) -> list[T]:
        """The beginning of a list, as long as there may be more items."""
        taken = stored[: self._left]
        self._left -= len(taken)
        self.unread += len(stored) - len(taken)
        return taken

    def text(self, value: str, kind: str = "text") -> Text:
        return Text(value, f"t{next(self._next)}", kind)
