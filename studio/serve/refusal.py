"""The web server's own answers, to what is no request or does not come to its end."""

from http import HTTPStatus
from typing import Final

from gunicorn.http import errors

STATUSES: Final = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


def status_of(error: Exception) -> HTTPStatus:
    """Return the status of a refusal by gunicorn's parser, 500 for any other error."""
    if isinstance(error, errors.ParseException):
        return STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
    return HTTPStatus.INTERNAL_SERVER_ERROR


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
