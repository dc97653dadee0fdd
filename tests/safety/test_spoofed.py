"""No header, target or framing of a request changes the path, the scheme, the host, or who asks."""

from collections.abc import Iterator

import pytest

from tests.safety.test_web_server import send
from tests.server import StudioServer, new_database, serving

HEADERS = [
    "SCRIPT_NAME: /evil",
    "SCRIPT-NAME: /evil",
    "Script_Name: /agents",
    "PATH_INFO: /health",
    "PATH-INFO: /health",
    "REMOTE_USER: admin",
    "REMOTE-USER: admin",
    "REMOTE_ADDR: 10.9.8.7",
    "HTTP_HOST: evil.example",
    "SERVER_NAME: evil.example",
    "QUERY_STRING: next=/evil",
    "REQUEST_METHOD: POST",
    "X-HTTP-Method-Override: POST",
    "X-Original-URL: /health",
    "X-Rewrite-URL: /health",
    "X-Forwarded-Prefix: /evil",
    "X_Forwarded_Prefix: /evil",
    "X-Forwarded-Path: /health",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Server: evil.example",
    "X-Forwarded-Port: 81",
    "X-Forwarded-For: 10.9.8.7",
    "X_FORWARDED_FOR: 10.9.8.7",
    "X-Forwarded-Proto: https",
    "X_FORWARDED_PROTO: https",
    "X-Forwarded-Protocol: ssl",
    "X-Forwarded-Ssl: on",
    "Forwarded: for=10.9.8.7;proto=https;host=evil.example",
    "Proxy: http://evil.example",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
]
PATHS = ("/health", "/agents/", "/sign-in/", "/api/agents/list", "/nothing/there")
NOT_SERVED = [
    *("/.git/config", "/.git/HEAD", "/.git/", "/.env", "/.venv/pyvenv.cfg", "/manage.py", "/requirements.txt"),
    *("/static/../manage.py", "/static/%2e%2e/manage.py", "/static/..%2fmanage.py", "/static/%2e%2e%2fsecret_key"),
    *("/static/../secret_key", "/static/css/../../secret_key", "/static//../../secret_key", "/static/..\\secret_key"),
    *("/static/.git/config", "/static//etc/passwd", "/static/%00", "/static/", "/static/css/"),
]
# whatever they mean, they are one request with one answer
TARGETS = {
    "GET http://evil.example/health HTTP/1.1": "/health",
    "GET https://evil.example/agents/ HTTP/1.1": "/agents/",
    "GET http://evil.example@127.0.0.1/agents/ HTTP/1.1": "/agents/",
}
SMUGGLED = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
POST = b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
# a front that reads them in another way than we do would let one client's bytes begin another's request
FRAMES = {
    "two hosts": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", {400}),
    "two lengths": (POST + b"Content-Length: 3\r\nContent-Length: 40\r\n\r\na=1" + SMUGGLED, {400}),
    "the same length twice": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\na=1" + SMUGGLED, {400}),
    "a list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\na=1" + SMUGGLED, {400}),
    "a length with a sign": (POST + b"Content-Length: +3\r\n\r\na=1" + SMUGGLED, {400}),
    "a hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\na=1" + SMUGGLED, {400}),
    "a length in digits of another script": (POST + "Content-Length: ٣\r\n\r\na=1".encode() + SMUGGLED, {400}),
    "length and chunks": (
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        {400},
    ),
    "chunks and length": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + SMUGGLED,
        {400},
    ),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, {411}),
    "chunks in capitals": (POST + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n" + SMUGGLED, {411}),
    "chunks twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, {411}),
    "chunks, and not": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED, {411}),
    **{
        f"chunks after {name}": (POST + f"Transfer-Encoding: {name}, chunked\r\n\r\n".encode() + SMUGGLED, {411})
        for name in ("identity", "gzip", "deflate", "compress", "")
    },
    "chunks in a second header": (
        POST + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
        {411},
    ),
    "no encoding, and a length": (POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\na=1", {400}),
    "chunks behind a tab": (POST + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, {411}),
    "chunks with an underscore": (POST + b"Content-Length: 3\r\nTransfer_Encoding: chunked\r\n\r\na=1", {403}),
    "a name before a space": (POST + b"Content-Length : 3\r\n\r\na=1" + SMUGGLED, {400}),
    "a folded length": (POST + b"X: 1\r\n Content-Length: 3\r\n\r\na=1" + SMUGGLED, {400}),
    "lines that end with LF": (b"POST /sign-in/ HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 3\r\n\r\na=1", {400}),
    "a header that ends with CR": (POST + b"X: 1\rContent-Length: 3\r\n\r\na=1" + SMUGGLED, {400}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    with new_database() as dsn, serving(dsn, tmp_path_factory.mktemp("spoofed")) as server:
        yield server


def ask(server: StudioServer, line: str, header: str = "") -> tuple[int, str | None]:
    more = f"{header}\r\n" if header else ""
    answer, _ = send(server, f"{line}\r\nHost: 127.0.0.1\r\n{more}Connection: close\r\n\r\n".encode())
    return answer.status, answer.headers["location"]


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_changes_nothing(server: StudioServer, header: str) -> None:
    for path in PATHS:
        line = f"GET {path} HTTP/1.1"
        assert ask(server, line, header) == ask(server, line), path


@pytest.mark.parametrize("path", NOT_SERVED)
def test_no_file_of_the_checkout_is_served(server: StudioServer, path: str) -> None:
    status, _ = ask(server, f"GET {path} HTTP/1.1")
    assert status == 404


@pytest.mark.parametrize("path", [*PATHS, "/api/", "/icons.svg", "/static/css/studio.css", "*"])
def test_trace_repeats_nothing(server: StudioServer, path: str) -> None:
    request = f"TRACE {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Canary: seen\r\nConnection: close\r\n\r\n"
    answer, body = send(server, request.encode())
    assert answer.status != 200
    assert "seen" not in body


@pytest.mark.parametrize("line", TARGETS)
def test_a_host_in_the_target_changes_nothing(server: StudioServer, line: str) -> None:
    assert ask(server, line) == ask(server, f"GET {TARGETS[line]} HTTP/1.1")


@pytest.mark.parametrize("name", FRAMES)
def test_a_request_has_one_length_or_is_refused_and_ends_the_connection(server: StudioServer, name: str) -> None:
    request, statuses = FRAMES[name]
    answer, text = send(server, request)
    assert answer.status in statuses
    if 403 not in statuses:
        assert answer.headers["connection"] == "close"
        # what followed it was answered by nobody
        assert "ok" not in text
        assert answer.fp is None or answer.fp.read() == b""
