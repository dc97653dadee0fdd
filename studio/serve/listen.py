"""The address that the studio listens on, and the lock on its data directory."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from studio.postgres.kept_files import StartFailure, locked, make_dir, unwritable


@contextmanager
def lock_data_dir(data_dir: Path) -> Iterator[None]:
    """Lock DATA_DIR for this studio; raise StartFailure if another one runs there, or if it is not writable."""
    make_dir(data_dir)
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise unwritable(data_dir, OSError(errno.EACCES, os.strerror(errno.EACCES)))
    with locked(data_dir / "serve.lock") as held:
        if not held:
            raise StartFailure(
                f"A studio runs on {data_dir} already: stop that one first, or set DATA_DIR and PORT for a second one."
            )
        yield


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; raise StartFailure with the reason if that is not possible."""
    # done first in a start: a port that is taken is noticed at once, and a browser that comes early waits
    if not 0 <= port <= 65535:
        raise StartFailure(f"There is no port {port}: set PORT to one from 1024 to 65535.")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        listener = socket.socket(family, kind)
    except OSError as error:
        raise StartFailure(f"Cannot listen on {host}, port {port} ({error}): set HOST and PORT.") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise StartFailure(_why(host, port, error)) from None
    return listener


def base_url(listener: socket.socket) -> str:
    """Return the studio's address for a browser on this machine."""
    name, port = listener.getsockname()[:2]
    host = ip_address(name)
    if host.is_unspecified:
        host = ip_address("::1" if host.version == 6 else "127.0.0.1")
    return f"http://[{host}]:{port}" if host.version == 6 else f"http://{host}:{port}"


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken: stop what listens there, or set PORT to another one."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}: set PORT to 1024 or more."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: set HOST to 127.0.0.1 or 0.0.0.0."
    return f"Cannot listen on {host}, port {port} ({error}): set HOST and PORT."
