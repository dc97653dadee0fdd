import os
from collections.abc import Iterator
from subprocess import Popen

import environ
import pytest
from django.conf import settings

from tests.postgres import start_guarded, stop_guarded
from tests.studio.serve.running import command, kill, left

pytest_plugins = ["tests.world", "tests.api_fixtures", "tests.server", "tests.browser_fixtures"]

# Files of a few long tests. They come first, so that at the end no process waits for another's.
LONG = ("safety/test_faults.py", "browser/test_pages.py", "safety/test_soak.py", "safety/test_race.py")
LONG += ("safety/test_bad_bytes.py", "serve/test_serve.py", "api/test_openapi.py", "safety/test_hostile_browser.py")
LONG += ("serve/test_people.py", "conformance/test_sdk.py", "conformance/test_upgrades.py", "client/test_client.py")
LONG += ("conformance/test_deletion.py", "browser/test_walk.py", "browser/test_lists.py", "bench/test_bench.py")

_guards: list[Popen[str]] = []


def pytest_configure(config: pytest.Config) -> None:
    # Workers of pytest-xdist inherit the variables of the process that started them.
    if not hasattr(config, "workerinput"):
        _guards.append(start_guarded())
    if settings.configured:
        # pytest-django has read the settings already, but has not connected yet.
        place = environ.Env.db_url_config(os.environ["DATABASE_URL"])
        settings.DATABASES["default"].update({key: place[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})
        # No collectstatic has run: the manifest of hashed names does not exist.
        settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # False sorts before True, and what is equal stays in its order
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


@pytest.fixture(autouse=True, scope="session")
def _nobody_is_left() -> Iterator[None]:
    """Check that no process that the tests have started is left; one that is gets killed, and the last test fails."""
    yield
    found = left({guard.pid for guard in _guards})
    said = [command(process) or str(process) for process in found]
    kill(*found)
    assert not said, "left running:\n" + "\n".join(said)


def pytest_unconfigure() -> None:
    while _guards:
        stop_guarded(_guards.pop())
