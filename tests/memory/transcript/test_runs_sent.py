"""Pages of a thread's runs: what the model is sent of them."""

from typing import Any

import pytest

from studio.models import Agent
from tests.memory.transcript.threads import agno, page, write
from tests.world import NOW, write_thread


def sent(session_id: str, window: int, **more: Any) -> list[str | None]:
    """Ids of the runs that are sent, over all pages."""
    one = page(session_id, window=window, **more)
    found = [run.run_id for run in one.runs if run.key in one.sent]
    while cursor := one.next:
        one = page(session_id, cursor, window=window, **more)
        found += [run.run_id for run in one.runs if run.key in one.sent]
    return found


@pytest.fixture
def mixed(here: Agent, layout: str) -> str:
    runs = [agno(f"r{n}", at=NOW + n) for n in range(12)]
    runs[11]["status"] = "ERROR"
    runs[9]["status"] = "PAUSED"
    runs[8]["parent_run_id"] = "r7"
    runs[7]["status"] = "CANCELLED"
    del runs[6]["agent_id"]
    runs[5]["status"] = "REGENERATED"
    write(here, "s", runs, "column" if layout == "unsorted" else layout)
    return "s"


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [2, 20])
def test_it_marks_the_runs_that_the_model_is_sent(mixed: str, order: str, limit: int) -> None:
    assert sorted(str(one) for one in sent(mixed, 3, order=order, limit=limit)) == ["r10", "r3", "r4"]
    assert sent(mixed, 0) == []


def test_it_marks_them_on_the_page_of_a_named_run(mixed: str) -> None:
    one = page(mixed, anchor_run="r4", window=3, limit=3)
    assert [run.run_id for run in one.runs if run.key in one.sent] == ["r4", "r3"]


def test_a_workflows_runs_are_no_history(here: Agent) -> None:
    write_thread(here, "s", [agno("r")], session_type="workflow")
    assert sent("s", 3) == []
