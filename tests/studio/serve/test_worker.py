"""The web server's processes: who gets a thread, and what they have in common."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from threading import Event, Thread
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
import pytest

from tests.rounds import rounds
from tests.server import StudioServer, new_database, serving
from tests.studio.serve.running import ROOT, STARTED, until

SIZE = """
import gc, json, django
django.setup()
from studio.serve import gunicorn_conf
gunicorn_conf.when_ready(None)
print(json.dumps([gunicorn_conf.workers, gunicorn_conf.threads, gc.get_freeze_count(), gc.get_threshold()[0]]))
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """A studio whose two workers have one thread each."""
    size = {"WEB_WORKERS": "2", "WEB_THREADS": "1"}
    with new_database() as dsn, serving(dsn, tmp_path_factory.mktemp("narrow"), **size) as server:
        yield server


def is_healthy(server: StudioServer) -> bool:
    # less than gunicorn waits for a connection that says nothing
    return httpx.get(server.url + "/health", timeout=4).status_code == 200


def test_connections_that_say_nothing_hold_no_thread(narrow: StudioServer) -> None:
    """Browsers open some in advance."""
    place = urlsplit(narrow.url)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(socket.create_connection((place.hostname, place.port)))
        assert is_healthy(narrow)


def test_a_worker_without_a_free_thread_leaves_new_connections_to_another(narrow: StudioServer) -> None:
    with psycopg.connect(narrow.dsn) as other:
        # whoever asks who is signed in waits for it, until the statement's time is over
        other.execute("lock table django_session in access exclusive mode")
        cookie = {"cookie": "session=" + "x" * 32}
        url = narrow.url + "/agents/"
        slow = Thread(target=lambda: httpx.get(url, headers=cookie, timeout=30))
        slow.start()
        waits = "select count(*) from pg_locks where not granted and relation = 'django_session'::regclass"
        while other.execute(waits).fetchone() != (1,):
            pass
        assert [is_healthy(narrow) for _ in range(12)] == [True] * 12
        assert other.execute(waits).fetchone() == (1,)
        other.rollback()
        slow.join()


def test_connections_that_are_never_done_keep_no_other_out(narrow: StudioServer) -> None:
    """Each sends its next request before the last is answered, so that no thread is ever free."""
    place = urlsplit(narrow.url)
    requests = f"GET /health HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode() * 5000
    with ExitStack() as stack:
        busy = []
        at_work = []
        for _ in range(6):
            busy.append(stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=10)))
            at_work.append(Thread(target=work, args=(busy[-1], requests)))
            at_work[-1].start()
            # one after the other, so that both workers have some
            assert busy[-1].recv(1)
        assert [is_healthy(narrow) for _ in range(5)] == [True] * 5
        assert all(thread.is_alive() for thread in at_work)
        for connection in busy:
            connection.shutdown(socket.SHUT_RDWR)
        for thread in at_work:
            thread.join()


def work(connection: socket.socket, requests: bytes) -> None:
    """Send all of this and throw away the answers."""
    reading = Thread(target=lambda: all(iter(lambda: read(connection), b"")))
    reading.start()
    with suppress(OSError):
        connection.sendall(requests)
    reading.join()


def read(connection: socket.socket) -> bytes:
    with suppress(OSError):
        return connection.recv(65536)
    return b""


def test_the_collector_leaves_alone_what_was_there_before_the_fork() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("WEB_")}
    env |= {"DJANGO_SETTINGS_MODULE": "studio.settings"}
    done = subprocess.run([sys.executable, "-c", SIZE], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    workers, threads, frozen, threshold = json.loads(done.stdout)
    assert (workers, threads) == (2, 2)
    assert frozen > 100_000
    assert threshold == 10_000


@pytest.mark.attack
def test_a_worker_that_is_told_to_end_answers_what_it_was_asked(narrow: StudioServer) -> None:
    """On connections that are kept, too: a client is told that one ends, or asks nobody who is gone."""
    answered: list[int] = []
    lost: list[str] = []
    over = Event()

    def ask(kept: bool) -> None:
        with httpx.Client(timeout=20) as client:
            while not over.is_set():
                try:
                    get = client.get if kept else httpx.get
                    answered.append(get(f"{narrow.url}/health").status_code)
                except httpx.TransportError as error:
                    lost.append(repr(error))

    askers = [Thread(target=ask, args=[number % 2 == 0]) for number in range(6)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(rounds(10, 50)):
            for worker in workers_of(narrow):
                worker.terminate()
                # a new one takes its place
                until(lambda ended=worker: is_over(ended))
    finally:
        over.set()
        for asker in askers:
            asker.join()
    assert lost == []
    assert set(answered) == {200}


def is_over(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def workers_of(server: StudioServer) -> list[psutil.Process]:
    port = urlsplit(server.url).port
    served = [one for one in STARTED if one.process.poll() is None and str(port) in one.said()]
    return served[-1].web.children()
