"""Names of the texts within a run, by which a page asks for the whole of a text that it shows cut."""

import itertools
import re
from typing import Final, TypeVar

from memory.transcript.media import without_bytes
from memory.transcript.model import Text, utf8_size

T = TypeVar("T")

# 2 MB of JSON can hold 60,000 messages of one letter, too many for any page
MOST_ITEMS: Final = 1_000
# what memory_shown_text of shown.sql leaves of a long text ends so, with the size of all of it; JSON escapes the sign
_CUT: Final = re.compile(r"…(?:\x1f|\\u001f)(\d{1,18})")


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
        """Make a text without the bytes of files."""
        begun, whole = beginning(without_bytes(value)[0])
        return Text(begun, f"t{next(self._next)}", kind, whole)


def beginning(text: str) -> tuple[str, int | None]:
    """Return a text without the marks of where it was cut, and the size of the whole if it was."""
    if "\x1f" not in text and "\\u001f" not in text:
        return text, None
    *cut, rest = _CUT.split(text)
    if not cut:
        return text, None
    return _CUT.sub("…", text), sum(map(int, cut[1::2])) + utf8_size(rest)
