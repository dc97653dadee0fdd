"""The key that signs sessions and links."""

import secrets
from pathlib import Path

from studio.embedded.keep import keep_once


def secret_key(data_dir: Path) -> str:
    """Return the installation's secret key, made at the first call."""
    return keep_once(data_dir / "secret_key", lambda: secrets.token_urlsafe(48))
