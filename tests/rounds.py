"""The number of rounds of tests that try something many times: few in `make test`, all in `make attack`.

Such a test is marked `attack`; `make attack` runs these alone, with ATTACK=1.
"""

import os
from typing import TypeVar

T = TypeVar("T")

ATTACK = os.environ.get("ATTACK") == "1"


def rounds(small: T, full: T) -> T:
    """Return the size of this run."""
    return full if ATTACK else small
