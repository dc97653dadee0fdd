"""How the web is served; read by gunicorn, which serve starts."""

import ctypes
import os
import signal
import sys

workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
worker_class = "studio.serve.worker.Worker"
# Imported once, before the workers are made: a start takes half the time.
preload_app = True

# The most that gunicorn takes. An id of 4 KB is 5.5 KB long in a path.
limit_request_line = 8190
keepalive = 5
# Of a worker that hangs, of requests that are under way when the studio stops.
timeout = 60
graceful_timeout = 10

accesslog = None
errorlog = "-"
loglevel = "warning"
control_socket_disable = True
# The heartbeat file must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  # nosec B108

PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    # A studio that is killed must not leave a web server that keeps the port.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(os.environ.get("STUDIO_PID", os.getppid())):
        sys.exit("The studio is gone.")


def when_ready(server: object) -> None:
    """Import every page before the workers are made: once, and an error ends the start."""
    from django.urls import get_resolver

    len(get_resolver().reverse_dict)
