"""What the web server itself says: to requests that are none, and in its log."""

import http.client
import socket
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.markup import Page
from tests.server import StudioServer, new_database, serving

CANARY = "canary-in-a-request"
LINE = b"GET /api/agents/list HTTP/1.1\r\nHost: 127.0.0.1\r\n"
REFUSED = {
    "a long line": (b"GET /api/" + CANARY.encode() * 600 + b" HTTP/1.1\r\n\r\n", 414),
    "long headers": (LINE + b"X: " + CANARY.encode() * 6000 + b"\r\n\r\n", 431),
    "many headers": (LINE + b"".join(b"X-%d: 1\r\n" % n for n in range(300)) + b"\r\n", 431),
    "a method of markup": (b"<script>" + CANARY.encode() + b"</script> / HTTP/1.1\r\n\r\n", 400),
    "no line": (CANARY.encode() + b"\r\n\r\n", 400),
    "bytes": (b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe\r\n\r\n", 400),
    "another version": (b"GET / HTTP/7.7\r\n\r\n", 400),
    "NUL in a header": (LINE + b"X: a\x00b\r\n\r\n", 400),
    "NUL in a header's name": (LINE + b"X\x00: a\r\n\r\n", 400),
    "a name with a space": (LINE + b"X : a\r\n\r\n", 400),
    "a folded header": (LINE + b"X: a\r\n b\r\n\r\n", 400),
    "two lengths": (LINE + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    "a negative length": (LINE + b"Content-Length: -1\r\n\r\n", 400),
    "length and chunks": (LINE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an unknown encoding": (LINE + b"Transfer-Encoding: canary\r\n\r\n", 411),
    "an expectation": (LINE + b"Expect: canary\r\n\r\n", 417),
}
HEADERS = {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "connection": "close",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """A studio of its own that logs all it can."""
    with new_database() as dsn, serving(dsn, tmp_path_factory.mktemp("web"), LOG_LEVEL="DEBUG") as server:
        yield server


def send(server: StudioServer, request: bytes) -> tuple[http.client.HTTPResponse, str]:
    """Send bytes and return the answer with its text."""
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as line:
        line.sendall(request)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return answer, answer.read().decode()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_is_refused_in_plain_text_with_our_headers(server: StudioServer, name: str) -> None:
    request, status = REFUSED[name]
    answer, text = send(server, request)
    assert (answer.status, text) == (status, f"{HTTPStatus(status).phrase}\n")
    assert {key: answer.headers[key] for key in HEADERS} == HEADERS
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "canary" not in str(answer.headers)


@pytest.mark.parametrize("length", [10_000, 100_000, 2_900_000])
def test_a_body_that_nobody_reads_does_not_end_the_connection_unannounced(server: StudioServer, length: int) -> None:
    where = urlsplit(server.url)
    line = http.client.HTTPConnection(str(where.hostname), where.port, timeout=10)
    for _ in range(2):
        line.request("PATCH", "/api/agents/list", b"x" * length)
        answer = line.getresponse()
        answer.read()
        assert (answer.status, answer.headers["connection"]) == (405, "keep-alive")
    line.close()


def test_the_log_names_the_fault_and_repeats_nothing_of_it(server: StudioServer) -> None:
    before = len(server.said)
    for request, _ in REFUSED.values():
        send(server, request)
    said = "\n".join(server.said[before:])
    assert "Refused a request: 414" in said
    assert "canary" not in said.lower()
    assert "Traceback" not in said


class TestALinkThatIsNotSpentYet:
    """Whoever reads the log must not come in by it, whatever went wrong when somebody used the link."""

    def use_wrongly(self, server: StudioServer, link: str, browser: httpx.Client) -> list[int]:
        page = browser.get(link)
        form = Page(page.text).form("")
        path = urlsplit(link).path
        statuses = []
        with psycopg.connect(server.dsn) as other:
            other.execute("lock table studio_signinlink in access exclusive mode")
            statuses += [browser.get(link).status_code, form.send(browser, page).status_code]
        statuses += [
            browser.post(link).status_code,
            browser.put(link).status_code,
            browser.post(server.url + path.rstrip("/")).status_code,
            browser.get(server.url + "/nothing" + path).status_code,
            browser.get(server.url + path.replace("sign-in", "Sign-In")).status_code,
            browser.get(link, headers={"host": "evil.example"}).status_code,
        ]
        host = b"Host: 127.0.0.1\r\n"
        for line in (path.encode() + b"a" * 9000, path.encode() + b" \x00"):
            statuses.append(send(server, b"GET " + line + b" HTTP/1.1\r\n" + host + b"\r\n")[0].status)
        return statuses

    def test_is_in_no_line_of_the_log(self, server: StudioServer) -> None:
        link = server.sign_in_link()
        token = link.rstrip("/").rpartition("/")[2]
        with httpx.Client(timeout=30) as browser:
            statuses = self.use_wrongly(server, link, browser)
            assert statuses == [503, 503, 403, 403, 301, 404, 404, 400, 414, 400]
            said = "\n".join(server.said)
            assert "Service Unavailable: /sign-in/once/…/" in said
            assert token not in said
            # it was worth something all the while
            page = browser.get(link)
            assert Page(page.text).form("").send(browser, page).status_code == 303
