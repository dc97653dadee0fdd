"""Steps of a start that are mostly skipped: collecting static files and adding demo data."""

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django_tenants.utils import get_tenant_model

from studio.postgres.kept_files import replace


def collect_static(data_dir: Path) -> bool:
    """Collect and compress the static files if a source has changed; return whether one has."""
    stamp = data_dir / "static.stamp"
    state = _sources()
    made = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if made.exists() and stamp.exists() and stamp.read_text() == state:
        return False
    call_command("collectstatic", interactive=False, verbosity=0)
    replace(stamp, state)
    return True


def add_demo(data_dir: Path, *, wanted: bool) -> bool:
    """Add demo data at the first start of a studio without agents; return whether it was added."""
    # The mark is "demo" while data is being added, so that a start after one that was cut off goes on with it.
    mark = data_dir / "first_start"
    state = mark.read_text() if mark.exists() else ""
    if state == "done":
        return False
    begin = wanted and (state == "demo" or not get_tenant_model().objects.exists())
    if begin:
        replace(mark, "demo")
        call_command("demo", verbosity=0)
    replace(mark, "done")
    return begin


def _sources() -> str:
    found = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for path in _source_files():
        state = path.stat()
        found.update(f"{path}\0{state.st_mtime_ns}\0{state.st_size}\n".encode())
    return found.hexdigest()


def _source_files() -> list[Path]:
    return [Path(storage.path(name)) for finder in get_finders() for name, storage in finder.list([])]
