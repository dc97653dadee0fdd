"""The bundled Postgres, which the studio uses unless DATABASE_URL is set."""

from studio.postgres.dsn import Parts, dsn, dsn_parts, superuser_parts, tcp_port, url
from studio.postgres.home import locate
from studio.postgres.kept_files import Failure
from studio.postgres.server import answers, start, stop

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
