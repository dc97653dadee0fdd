"""SECRET_KEY and the keys before it: in the environment, else in files of DATA_DIR.

`secret_key.old` is there from the moment before a new key is made until nothing is under the old one any more, so
whenever a rotation is stopped, everything can be read by one of the two.
"""

import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final

from studio.postgres.kept_files import make_once, replace, unreadable

_FILE: Final = "secret_key"
_OLD: Final = "secret_key.old"


def is_given() -> bool:
    """Tell whether the key comes from the environment and not from DATA_DIR."""
    return bool(os.environ.get("SECRET_KEY"))


def current(data_dir: Path) -> str:
    """Return the key, which the first call makes."""
    return os.environ.get("SECRET_KEY") or make_once(data_dir / _FILE, _new)


def before(data_dir: Path) -> list[str]:
    """Return the keys that are only read with: SECRET_KEY_FALLBACKS, and that of a rotation that goes on."""
    given = [key.strip() for key in os.environ.get("SECRET_KEY_FALLBACKS", "").split(",")]
    return [key for key in (*given, *([] if is_given() else _old(data_dir))) if key]


def renew(data_dir: Path) -> None:
    """Make a new key and keep the old one; one that an earlier call has made stays."""
    key, old = make_once(data_dir / _FILE, _new), _old(data_dir)
    if old and key not in old:
        return
    if not old:
        replace(data_dir / _OLD, key)
        _to_disk(data_dir)
    replace(data_dir / _FILE, _new())
    _to_disk(data_dir)


def forget(data_dir: Path) -> None:
    """Remove the key before, once nothing is under it."""
    (data_dir / _OLD).unlink(missing_ok=True)


def print_of(key: str) -> str:
    """Return a short hash of a key, by which two are compared."""
    return sha256(f"print of {key}".encode()).hexdigest()[:16]


def _old(data_dir: Path) -> list[str]:
    try:
        return (data_dir / _OLD).read_text().split()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(data_dir / _OLD, error) from None


def _new() -> str:
    return secrets.token_urlsafe(48)


def _to_disk(directory: Path) -> None:
    """Let the new names of files survive a loss of power, before anything depends on them."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
