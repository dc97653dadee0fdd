"""Names of the texts within a run, by which a page asks for the whole of a text that it shows cut."""

import itertools
from typing import Final, TypeVar

from memory.transcript.model import Text

T = TypeVar("T")

# 2 MB of JSON can hold 60,000 messages of one letter, too many for any page
MOST_ITEMS: Final = 1_000


class TextIds:
    """Numbers the texts of a run and of the runs inside it, in the order in which they are parsed.

    It also limits the number of items: `unread` counts messages, calls, steps and runs beyond MOST_ITEMS.
    """

    def __init__(self) -> None:
        self._next = itertools.count()
        self._left = MOST_ITEMS
        self.unread = 0

    def take(self, stored: list[T]) -> list[T]:
        """Return as much of a list as the limit leaves, and count the rest as unread."""
        taken = stored[: self._left]
        self._left -= len(taken)
        self.unread += len(stored) - len(taken)
        return taken

    def text(self, value: str, kind: str = "text") -> Text:
        return Text(value, f"t{next(self._next)}", kind)
