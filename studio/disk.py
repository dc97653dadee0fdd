"""How full the disk of the bundled database is. Of a server elsewhere nothing is known, and nothing is said."""

import shutil
from functools import cache
from pathlib import Path
from typing import Final

from django.conf import settings

from studio import postgres
from studio.agents.connection import is_bundled

# shares of the disk: from the first on pages warn, from the second on agents may not write, below the third they may
WARN: Final = 0.90
REFUSE: Final = 0.95
ALLOW: Final = 0.93


def used() -> float | None:
    """Return the share of the disk that is in use, as df counts it; None if it is not known."""
    if not is_bundled():
        return None
    try:
        found = shutil.disk_usage(_place(settings.DATA_DIR))
    except OSError:
        return None
    return found.used / ((found.used + found.free) or 1)


def warning() -> str:
    """Say that the disk is nearly full, and what to do; empty while there is room."""
    share = used()
    if share is None or share < WARN:
        return ""
    # rounded down, so that it is never said to be full before it is
    said = f"The disk of the database is {int(share * 100)} % full."
    if share < REFUSE:
        return f"{said} Make room on it: from {round(REFUSE * 100)} % on, agents cannot write."
    return f"{said} Make room on it: until there is, agents cannot write. Deleting threads works."


@cache
def _place(data_dir: Path) -> Path:
    return postgres.locate(data_dir) / "data"
