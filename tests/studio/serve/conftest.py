import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.studio.serve.running import First, copied, get, passable, running


@pytest.fixture(scope="session")
def first() -> Iterator[First]:
    """Start a new studio with demo data, as a newcomer does, and stop it."""
    with passable() as data_dir:
        with running(data_dir, DEMO="1") as studio:
            statuses = get(studio.link), get(studio.link + "x")
        yield First(data_dir, studio, statuses)


@pytest.fixture
def used(first: First, place: Path) -> Path:
    """A DATA_DIR that was started and stopped before; a copy, so that a test leaves nothing to another."""
    return copied(first.data_dir, place / "var")


@pytest.fixture
def fresh(first: First, place: Path) -> Path:
    """A DATA_DIR where only the static files are there, which take seconds to compress."""
    data_dir = place / "var"
    data_dir.mkdir(mode=0o711)
    shutil.copytree(first.data_dir / "static", data_dir / "static")
    shutil.copy(first.data_dir / "static.stamp", data_dir)
    return data_dir
