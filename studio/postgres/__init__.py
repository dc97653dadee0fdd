"""The Postgres that the studio runs itself unless DATABASE_URL is set: the bundled one, or the machine's."""

from studio.postgres.dsn import Parts, dsn, dsn_parts, superuser_parts, tcp_port, url
from studio.postgres.home import locate
from studio.postgres.kept_files import StartFailure
from studio.postgres.server import answers, describe, start, stop

__all__ = [
    "Parts",
    "StartFailure",
    "answers",
    "describe",
    "dsn",
    "dsn_parts",
    "locate",
    "start",
    "stop",
    "superuser_parts",
    "tcp_port",
    "url",
]
