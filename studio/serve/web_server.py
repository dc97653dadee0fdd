"""The web server, as a process beside the one that watches over it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

from studio.postgres.kept_files import Failure

READY_SECONDS = 60
# A little more than gunicorn grants the requests under way.
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
        pass_fds=[descriptor],
        env={"STATEMENT_TIMEOUT": "2500ms", **os.environ, "PORT": str(port), "STUDIO_PID": str(os.getpid())},
        # Ctrl-C in the terminal is for the studio, which lets the requests under way finish.
        start_new_session=True,
    )


def wait_ready(web: subprocess.Popen[bytes], url: str) -> None:
    """Wait until a request is answered, by whatever status."""
    deadline = time.monotonic() + READY_SECONDS
    address = urlsplit(url)
    while time.monotonic() < deadline:
        if web.poll() is not None:
            raise Failure("The web server did not start; what it said is above.")
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
    raise Failure(f"The web server did not answer within {READY_SECONDS} s.")


def stop(web: subprocess.Popen[bytes]) -> None:
    """Let the requests under way finish, then end the web server."""
    web.terminate()
    try:
        web.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Its workers, too, which are in its session and nothing else is.
        os.killpg(web.pid, signal.SIGKILL)
        web.wait()
