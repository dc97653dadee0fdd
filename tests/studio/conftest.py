from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.studio.serve.running import passable


@pytest.fixture
def place() -> Iterator[Path]:
    with passable() as path:
        yield path
