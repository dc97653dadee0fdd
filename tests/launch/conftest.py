import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio import embedded
from tests.launch.running import First, copied, get, running


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory that the database's user may enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="studio-launch-"))
    path.chmod(0o711)
    yield path
    # also what a failed test left half made, or removes by itself
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def first() -> Iterator[First]:
    """A first start as a newcomer makes it, demo data and all, and its end."""
    data_dir = Path(tempfile.mkdtemp(prefix="studio-launch-"))
    data_dir.chmod(0o711)
    with running(data_dir, DEMO="1") as studio:
        statuses = get(studio.link), get(studio.link + "x")
    yield First(data_dir, studio, statuses)
    embedded.stop(data_dir)
    shutil.rmtree(data_dir)


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
