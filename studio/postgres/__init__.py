"""The bundled Postgres, which the studio uses unless DATABASE_URL is set."""

from studio.postgres.dsn import Parts, dsn, dsn_parts, superuser_parts, tcp_port, url
from studio.postgres.home import locate
from studio.postgres.kept_files import StartFailure
from studio.postgres.server import answers, start, stop

__all__ = [
    "Parts",
    "StartFailure",
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
