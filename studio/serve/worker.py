"""The web server's worker, and its answer to bytes that are not a valid request."""

from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any, Final, cast

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

STATUSES: Final = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


class Worker(ThreadWorker):
    """A worker that accepts no more than it can serve at once, and refuses bytes that are no request.

    A refusal is plain text with the security headers, and does not repeat what was sent.
    """

    poller: Any

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection to a thread as soon as it has sent something."""
        if not (conn.initialized or conn.data_ready):
            # a browser opens connections in advance, each of which would hold a thread for five seconds
            conn.sock.setblocking(False)
            conn.set_timeout()
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))
            return
        cast(Any, super()).enqueue_req(conn)
        # off, if that was the last free thread
        self.set_accept_enabled(self._accepting)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Leave new connections to other workers while every thread is busy."""
        busy = self.nr_conns - len(self.keepalived_conns) - len(self.pending_conns)
        cast(Any, super()).set_accept_enabled(enabled and busy < self.cfg.threads)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Let in a new connection after each request, because kept ones may never leave a thread free."""
        cast(Any, super()).finish_request(conn, fs)
        if self.alive and not self._accepting and self.nr_conns < self.worker_connections:
            for listener in self.sockets:
                cast(Any, self).accept(listener)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        if isinstance(exc, errors.ParseException):
            status = STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
            self.log.warning("Refused a request: %s", type(exc).__name__)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("Error handling a request", exc_info=exc)
        # the client may have closed the connection
        with suppress(OSError):
            util.write_nonblock(client, refusal(status))


def refusal(status: HTTPStatus) -> bytes:
    """Write a whole HTTP answer with the same security headers as any page."""
    # imported here, because gunicorn imports this module before Django is ready
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse

    from studio.middleware import headers

    request = HttpRequest()
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        request.META[name] = value
    response = HttpResponse(f"{status.phrase}\n", status=status, content_type="text/plain; charset=utf-8")
    response.headers["Content-Length"] = str(len(response.content))
    response.headers["Connection"] = "close"
    headers(lambda request: response)(request)
    first = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    return first + response.serialize_headers() + b"\r\n\r\n" + response.content
