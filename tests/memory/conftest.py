from collections.abc import Iterator

import pytest
from django_tenants.utils import schema_context

from studio.models import Agent
from tests.world import LAYOUTS


@pytest.fixture
def here(ada: Agent) -> Iterator[Agent]:
    """Inside of Ada's schema, as the rooms below the pages expect it."""
    with schema_context(ada.schema_name):
        yield ada


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    """One of the ways in which agents store runs."""
    return str(request.param)
