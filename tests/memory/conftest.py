from collections.abc import Callable, Iterator

import pytest
from django_tenants.utils import schema_context

from memory import query
from memory.index import threads, users
from studio.models import Agent
from tests.world import LAYOUTS


@pytest.fixture
def here(ada: Agent) -> Iterator[Agent]:
    """Inside of Ada's schema, as the rooms below the pages expect it."""
    with schema_context(ada.schema_name):
        yield ada


@pytest.fixture
def count_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Count less far than usual; the statements of lists, which are written once, are written anew."""

    def count_to(**limits: int) -> None:
        for name, limit in limits.items():
            monkeypatch.setattr(query, name, limit)
        forget()

    def forget() -> None:
        threads._statement.cache_clear()
        users._statement.cache_clear()

    yield count_to
    forget()


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    """One of the ways in which agents store runs."""
    return str(request.param)
