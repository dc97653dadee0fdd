"""How much to do in one transaction."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# in seconds
FAST: Final = 0.1
SLOW: Final = 0.3


class Batch:
    """The size of the next batch. It begins with one, because nobody knows how long one takes, and has a limit."""

    def __init__(self, most: int) -> None:
        self.size = 1
        self.most = most

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Do a batch: after a fast one the next is four times as large, after a slow one a quarter."""
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if took < FAST:
            self.size = min(self.size * 4, self.most)
        elif took > SLOW:
            self.size = max(self.size // 4, 1)
