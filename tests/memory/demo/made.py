"""The demo as it is made for two moments."""

import time
from typing import Any

from memory.demo import load

Json = dict[str, Any]
SUPPORT, RESEARCH, WEBHOOK, SALES = load.AGENTS
DAY = 86400
NOW = int(time.time())
# the moments at which the demo is loaded
MOMENTS = {"today": NOW, "in 400 days and 9 hours": NOW + 400 * DAY + 9 * 3600}


def all_runs(thread: Json) -> list[Json]:
    return [*(thread["session"]["runs"] or []), *(row["run_data"] for row in thread["runs"])]
