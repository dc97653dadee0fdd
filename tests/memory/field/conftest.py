import pytest
from django.test import Client

from studio.models import Agent
from tests.calls import Api
from tests.memory.field.rows import Studio


@pytest.fixture
def studio(ada: Agent, page: Client, api: Api) -> Studio:
    return Studio(ada, page, api)


@pytest.fixture(params=["column", "table"])
def where(request: pytest.FixtureRequest) -> str:
    """Where the runs are: agno 2.5 has them in a column, agno 3.1 in a table."""
    return str(request.param)
