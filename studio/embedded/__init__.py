"""The Postgres that comes with the studio, used unless DATABASE_URL is set."""

from studio.embedded.address import (
    Parts,
    dsn,
    dsn_parts,
    superuser_parts,
    tcp_port,
    url,
)
from studio.embedded.keep import Failure
from studio.embedded.place import locate
from studio.embedded.server import answers, start, stop

__all__ = [
    "Failure",
    "Parts",
    "answers",
    "dsn",
    "dsn_parts",
    "locate",
    "start",
    "stop",
    "superuser_parts",
    "tcp_port",
    "url",
]
