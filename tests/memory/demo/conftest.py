import pytest

from memory.demo import load
from tests.memory.demo.made import MOMENTS, Json


@pytest.fixture(scope="module", params=MOMENTS.values(), ids=MOMENTS)
def now(request: pytest.FixtureRequest) -> int:
    moment: int = request.param
    return moment


@pytest.fixture(scope="module")
def made(now: int) -> dict[str, list[Json]]:
    return {one["id"]: load.threads(one, now) for one in load.AGENTS}


@pytest.fixture(scope="module")
def threads(made: dict[str, list[Json]]) -> list[Json]:
    return [thread for group in made.values() for thread in group]
