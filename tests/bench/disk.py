"""The disk that a run needs, said before it begins."""

import shutil
from pathlib import Path
from typing import Final

from tests.bench.shape import Layout
from tests.bench.stage import sizes

# Bytes of a thread with its index, as they were measured: whatever the length of its texts, and of full texts.
FIXED: Final[dict[Layout, int]] = {"column": 3_800, "table": 14_200}
TEXTS: Final[dict[Layout, int]] = {"column": 17_700, "table": 15_800}
# What Postgres logs of its writes, at most, and the empty database.
LOG: Final = 8_000_000_000
EMPTY: Final = 500_000_000


def needed(threads: int, layouts: tuple[Layout, ...], length: float) -> int:
    """Estimate the bytes of a run's database at its largest."""
    each = {layout: FIXED[layout] + TEXTS[layout] * length for layout in layouts}
    # AgentOS has a copy of its own
    whole = 2 * threads * sum(each.values())
    smaller = sum(sizes(threads)[:-1]) * each[layouts[0]]
    return int(whole + smaller + min(LOG, whole) + EMPTY)


def free(place: Path) -> int:
    """Return the bytes that are free where the database is to be."""
    return shutil.disk_usage(next(part for part in (place, *place.parents) if part.exists())).free
