"""The web server: a process that `manage.py serve` starts, watches and stops."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

from studio import become
from studio.postgres.kept_files import StartFailure

PATIENCE = {"STATEMENT_TIMEOUT": "2500ms", "CONNECT_TIMEOUT": "2"}
READY_SECONDS = 60
# Longer than gunicorn's graceful_timeout, in which it lets requests finish.
STOP_SECONDS = 15


def start(listener: socket.socket) -> subprocess.Popen[bytes]:
    """Start gunicorn on a socket that listens already."""
    descriptor = listener.fileno()
    port = listener.getsockname()[1]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--config", "python:studio.serve.gunicorn_conf"),
            *("--bind", f"fd://{descriptor}", "studio.wsgi:application"),
        ],
        executable=become.python.executable,
        pass_fds=[descriptor, *become.python.descriptors],
        # An answer within 3 s when the database is away or a lock is held. Before os.environ: what is set there wins.
        env={**PATIENCE, **os.environ, **become.python.variables, "PORT": str(port), "STUDIO_PID": str(os.getpid())},
        # Ctrl-C in the terminal must not reach it: the studio lets its requests finish and then stops it.
        start_new_session=True,
    )


def wait_ready(web: subprocess.Popen[bytes], url: str) -> None:
    """Wait until a request is answered, with any status."""
    deadline = time.monotonic() + READY_SECONDS
    address = urlsplit(url)
    while time.monotonic() < deadline:
        if web.poll() is not None:
            raise StartFailure("The web server did not start; what it said is above.")
        client = http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)
        try:
            client.request("GET", "/")
            client.getresponse()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            client.close()
    raise StartFailure(f"The web server did not answer within {READY_SECONDS} s.")


def stop(web: subprocess.Popen[bytes]) -> None:
    """Let running requests finish, then end the web server."""
    web.terminate()
    try:
        web.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # The whole group, which is the web server and its workers.
        os.killpg(web.pid, signal.SIGKILL)
        web.wait()
