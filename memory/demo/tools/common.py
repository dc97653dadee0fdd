from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Facts = dict[str, str]
Args = dict[str, Any]
# (facts, random, now in epoch seconds, arguments of the call) -> what the tool returns
Tool = Callable[[Facts, Random, float, Args], Any]


def when(at: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(at))).isoformat()


def day(at: float) -> str:
    return when(at)[:10]
