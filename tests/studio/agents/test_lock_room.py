"""Agents hold half of the table of locks at most, however many share in it, and who holds the most goes first."""

from typing import Any

import pytest

from studio.agents.watchdog import Watchdog
from studio.agents.watched import Session

ROOM = 1000


@pytest.fixture(autouse=True)
def limit(settings: Any) -> None:
    settings.AGENT_LOCK_LIMIT = 400


def greedy(*locks: int) -> set[int]:
    """Of roles 1, 2, … with so many locks, those whose sessions are to end."""
    dog = Watchdog()
    dog._room = ROOM
    return dog._greedy([Session(pid, pid, held, 0, 0, 0, 0) for pid, held in enumerate(locks, 1)])


def test_half_of_it_is_theirs() -> None:
    assert greedy(300, 200) == set()


def test_one_more_than_half_ends_who_holds_the_most() -> None:
    assert greedy(200, 301) == {2}


def test_as_many_end_as_it_takes() -> None:
    assert greedy(100, 390, 380, 370) == {2, 3}


def test_who_holds_more_than_an_agent_may_ends_whatever_there_is() -> None:
    assert greedy(401) == {1}
    assert greedy(400) == set()
