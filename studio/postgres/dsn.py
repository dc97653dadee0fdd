"""DSNs and ports of the bundled Postgres; they are known before it runs."""

import secrets
import socket
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote, urlencode

from studio.postgres.home import digest, locate, socket_dir
from studio.postgres.kept_files import StartFailure, make_once, replace

# The number in the name of the socket that clients use, a symlink to the socket of the real port. So a
# DSN stays valid when the port has to change.
SOCKET_PORT = "5432"
NAME = "studio"
SUPERUSER = "postgres"
# Below the ports that systems give to outgoing connections, one of which could be in use at the next start.
PORTS = range(20_000, 30_000)


class Parts(TypedDict):
    """The pieces of a DSN, named as in Django's DATABASES."""

    name: str
    user: str
    password: str
    host: str
    port: str


def dsn(data_dir: Path) -> str:
    """Return the studio's DSN as a URL."""
    return url(dsn_parts(data_dir))


def dsn_parts(data_dir: Path) -> Parts:
    """Return the studio's DSN in pieces; the host is the directory of the Unix socket."""
    home = locate(data_dir)
    return _parts(home, NAME, NAME, password(home, "password"))


def superuser_parts(data_dir: Path) -> Parts:
    """Return the superuser's DSN in pieces; it is used only to set the server up and to see whether it is ready."""
    home = locate(data_dir)
    return _parts(home, "postgres", SUPERUSER, password(home, "superuser"))


def url(parts: Parts) -> str:
    """Write the pieces of a DSN as a URL that both libpq and django-environ read."""
    # Not postgresql://user@%2Fpath/name, where django-environ takes the path for a host name.
    where = urlencode({"host": parts["host"], "port": parts["port"]}, safe="/", quote_via=quote)
    return f"postgresql://{parts['user']}:{parts['password']}@/{parts['name']}?{where}"


def password(home: Path, name: str) -> str:
    """Return a password, which the first call makes; it has only letters, digits, - and _."""
    return make_once(home / name, lambda: secrets.token_urlsafe(24))


def tcp_port(data_dir: Path) -> int:
    """Return the port on 127.0.0.1 where agents connect."""
    home = locate(data_dir)
    return int(make_once(home / "port", lambda: str(free_port(home))))


def keep_port(home: Path, port: int) -> None:
    """Store another port."""
    replace(home / "port", str(port))


def free_port(home: Path) -> int:
    """Choose a free port; the first one to be tried depends on the directory."""
    # so that studios on one machine rarely try the same port
    first = int(digest(home), 16) % len(PORTS)
    for step in range(len(PORTS)):
        port = PORTS[(first + step) % len(PORTS)]
        if is_free(port):
            return port
    raise StartFailure("No port from 20000 to 29999 is free on 127.0.0.1: set DATABASE_URL.")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # As Postgres does it, so that a connection in TIME_WAIT does not count as a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _parts(home: Path, name: str, user: str, secret: str) -> Parts:
    return {
        "name": name,
        "user": user,
        "password": secret,
        "host": str(socket_dir(home)),
        "port": SOCKET_PORT,
    }
