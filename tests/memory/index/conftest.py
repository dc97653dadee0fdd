from typing import Any

import pytest

from studio.models import Agent
from tests.memory.index.lists import Write
from tests.world import write_thread


@pytest.fixture
def write(ada: Agent, here: None, layout: str) -> Write:
    def write(session_id: str, runs: list[Any] | None = None, **more: Any) -> None:
        write_thread(ada, session_id, runs, layout=layout, **more)

    return write


@pytest.fixture
def write_one(ada: Agent, here: None) -> Write:
    """Write threads where the layout cannot matter."""

    def write(session_id: str, runs: list[Any] | None = None, **more: Any) -> None:
        write_thread(ada, session_id, runs, **more)

    return write
