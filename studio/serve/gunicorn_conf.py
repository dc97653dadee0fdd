"""The configuration of gunicorn."""

import ctypes
import gc
import os
import signal
import sys

workers = int(os.environ.get("WEB_WORKERS", "2"))
# Python runs one thread of a process at a time: the second thread works while the first waits for the database.
threads = int(os.environ.get("WEB_THREADS", "2"))
worker_class = "studio.serve.worker.Worker"
# The application is imported once, before the workers are forked, which halves the time of a start.
preload_app = True

# The largest that gunicorn allows, because an id of 4 KB takes 5.5 KB in a path.
limit_request_line = 8190
keepalive = 5
# of each worker; where there are more, the one that waits longest makes room
worker_connections = 500
# Answers wait in memory for clients that read slowly, and not in a thread.
sendfile = False
# No header of a request says what the web server says: not the path, the scheme, or who asks. studio/proxies.py alone
# believes proxies.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
header_map = "drop"
# Seconds after which a hanging worker is killed, and in which running requests may finish when the studio stops.
timeout = 60
graceful_timeout = 10

# addresses may hold one-time tokens and ids
accesslog = None
errorlog = "-"
loglevel = "warning"
control_socket_disable = True
# In memory, because a worker that waits for a slow disk would be taken for a hanging one.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  # nosec B108

PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    # If the studio is killed, the web server must end too, because it would keep the port.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # it may have died before that call
    if os.getppid() != int(os.environ.get("STUDIO_PID", os.getppid())):
        sys.exit("The studio is gone.")


def when_ready(server: object) -> None:
    """Import every view before the workers are forked, so that an error in one ends the start."""
    from django.urls import get_resolver

    len(get_resolver().reverse_dict)
    # What is there now stays until the end. The collector need not look at it again, which would also copy its
    # memory into each worker, and it looks less often at the little that a request leaves behind.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
