"""How long a test goes on that tries something many times: a little in `make test`, in full in `make attack`.

Such a test is marked `attack`; `make attack` runs these alone, with ATTACK=1.
"""

import os
from typing import TypeVar

T = TypeVar("T")

ATTACK = os.environ.get("ATTACK") == "1"


def rounds(small: T, full: T) -> T:
    """Return the size of this run."""
    return full if ATTACK else small
