import pytest

from tests.calls import Api


@pytest.fixture
def api(db: None) -> Api:
    """A program with a key for everything."""
    return Api.with_key()


@pytest.fixture
def stranger(db: None) -> Api:
    return Api()
