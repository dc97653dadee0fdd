"""The real Agno beside the studio: its tables as it makes them, its REST server, its writes."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.bench.shape import Layout
from tests.conformance import environments

HERE: Final = Path(__file__).parent / "peer"
READY_SECONDS: Final = 90


@dataclass(frozen=True)
class Peer:
    """A version of Agno, and where it keeps the runs."""

    version: str
    environment: str
    layout: Layout

    def tables(self, dsn: str, schema: str) -> None:
        """Let the library make its own schema, tables and indexes."""
        self._run(do="tables", dsn=dsn, schema=schema)

    def writes(self, **task: Any) -> list[dict[str, Any]]:
        """Let it write, and return what it says of each kind of write: {write, runs, cpu}, µs by target."""
        found: list[dict[str, Any]] = json.loads(self._run(do="writes", **task).splitlines()[-1])
        return found

    @contextmanager
    def serving(self, dsn: str, schema: str) -> Iterator[str]:
        """Serve AgentOS over a schema until the block ends; yields its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(self._command(do="serve", dsn=dsn, schema=schema, port=port))
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + READY_SECONDS
            while not _answers(url):
                assert process.poll() is None, f"AgentOS {self.version} did not start"
                assert time.monotonic() < deadline, f"AgentOS {self.version} does not answer"
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, **task: Any) -> str:
        done = subprocess.run(self._command(**task), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _command(self, **task: Any) -> list[str]:
        python = environments.python(self.environment, HERE)
        return [str(python), "-W", "ignore", str(HERE / "agentos.py"), json.dumps(task)]


PEERS: Final = (Peer("2.5.14", "agentos-2.5", "column"), Peer("3.1.10", "agentos-3.1", "table"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code < 500
    except httpx.HTTPError:
        return False
