"""Clients that say nothing, go on half-way or do not read freeze nobody else, and need no account to try."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.rounds import rounds
from tests.server import StudioServer, new_database, serving
from tests.studio.serve.running import until

# of each kind; a studio's two workers hold 500 each
CLIENTS: Final = rounds(200, 600)
SECONDS: Final = rounds(4, 12)
# a request that is frozen gets no answer at all; the machine may be busy with other tests
PATIENCE: Final = 8

HALF: Final = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
BODY: Final = b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nlogin="
ASK: Final = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PAGE: Final = b"GET /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LAST: Final = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
KINDS: Final = {
    "say nothing": b"",
    "send half a header": HALF,
    "send half a body": BODY,
    "ask once and stay": ASK,
    "never close what is closed for them": LAST,
    "ask without end and read nothing": PAGE * 500,
}
# sent on, a byte a second
TRICKLE: Final = {"send half a header", "send half a body"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """A studio as it is delivered: two workers with two threads each."""
    with new_database() as dsn, serving(dsn, tmp_path_factory.mktemp("silence"), WEB_WORKERS="2") as server:
        yield server


@contextmanager
def besieged(server: StudioServer, kinds: list[str], clients: int) -> Iterator[None]:
    """Keep so many connections of each kind open: those that the studio closes are opened anew."""
    where = urlsplit(server.url)
    stopping = threading.Event()

    def attack(kind: str) -> None:
        lines: list[socket.socket] = []
        with ExitStack() as stack:
            stack.callback(lambda: [line.close() for line in lines])
            while not stopping.is_set():
                lines[:] = [line for line in lines if go_on(line, b"a" if kind in TRICKLE else b"")]
                for _ in range(clients - len(lines)):
                    with suppress(OSError):
                        lines.append(opened(str(where.hostname), where.port or 80, KINDS[kind]))
                stopping.wait(1)

    threads = [threading.Thread(target=attack, args=[kind]) for kind in kinds]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def opened(host: str, port: int, first: bytes) -> socket.socket:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(1)
    line.connect((host, port))
    line.setblocking(False)
    with suppress(BlockingIOError):
        line.send(first)
    return line


def go_on(line: socket.socket, byte: bytes) -> bool:
    """Send a byte; return False if the studio has closed the connection."""
    try:
        if byte:
            line.send(byte)
        line.send(b"")
        return line.recv(1, socket.MSG_PEEK) != b"" or byte == b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def frozen(server: StudioServer, seconds: float, path: str = "/health") -> list[float]:
    """Ask on new connections for so long, and return how long those took that were not answered in time."""
    late = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            answered = httpx.get(server.url + path, timeout=PATIENCE).status_code == 200
        except httpx.TransportError:
            answered = False
        if not answered:
            late.append(time.monotonic() - began)
        time.sleep(0.02)
    return late


@pytest.mark.attack
@pytest.mark.parametrize("kind", KINDS)
def test_many_clients_that_never_end_freeze_nobody(server: StudioServer, kind: str) -> None:
    # those who ask for pages cost the time of making them
    with besieged(server, [kind], 8 if KINDS[kind].startswith(PAGE) else CLIENTS):
        time.sleep(1)
        assert frozen(server, SECONDS) == []


@pytest.mark.attack
def test_all_of_them_together_freeze_nobody(server: StudioServer) -> None:
    with besieged(server, ["say nothing", "send half a header", "send half a body"], 200):
        time.sleep(1)
        assert frozen(server, rounds(6, 12)) == []
        assert frozen(server, 1, "/sign-in/") == []


def test_a_request_that_does_not_come_to_its_end_is_refused_in_words(server: StudioServer) -> None:
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout=30) as line:
        line.sendall(HALF)
        assert line.recv(65536).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@pytest.fixture
def download(server: StudioServer) -> tuple[str, str, int]:
    """A signed-in admin's cookie, and the address and size of a download that no buffer holds."""
    agent = server.create_agent("downloads")
    text = "x" * 500_000
    with psycopg.connect(agent.dsn) as connection:
        connection.execute(
            "insert into agno_sessions (session_id, session_type, created_at, updated_at) values ('big', 'agent', 1, 1)"
        )
        connection.execute(
            "insert into agno_runs (run_id, session_id, run_type, run_index, status, created_at, updated_at, run_data)"
            " select 'run-' || n, 'big', 'agent', n, 'COMPLETED', 1, 1, jsonb_build_object('content', %s::text)"
            " from generate_series(0, 59) n",
            [text],
        )
    server.fold(agent.schema)
    client = server.client()
    path = f"/agents/{agent.id}/threads/big/export/"
    size = len(client.get(path, headers={"accept-encoding": "identity"}).content)
    assert size > 30_000_000
    return f"session={client.cookies['session']}", path, size


def has_begun(line: socket.socket) -> bool:
    """Return whether an answer came, or was cut off, without taking any of it."""
    try:
        line.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.attack
def test_downloads_that_nobody_reads_freeze_nobody(server: StudioServer, download: tuple[str, str, int]) -> None:
    cookie, path, size = download
    where = urlsplit(server.url)
    ask = f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nCookie: {cookie}\r\n\r\n".encode()
    with ExitStack() as stack:
        # more than there are threads
        lines = [stack.enter_context(opened(str(where.hostname), where.port or 80, ask)) for _ in range(rounds(20, 60))]
        until(lambda: all(has_begun(line) for line in lines), 120)
        # until all have as much as the studio sends ahead
        time.sleep(10)
        assert frozen(server, SECONDS) == []
        # somebody who reads gets all of it
        answer = httpx.get(server.url + path, headers={"cookie": cookie, "accept-encoding": "identity"}, timeout=60)
        assert len(answer.content) == size
