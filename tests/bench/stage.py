"""The studio with its agents and AgentOS beside it, filled and running."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psycopg

from studio.ids import schema_name
from tests.bench.fill import copy_schema, fill
from tests.bench.measure import Browser
from tests.bench.peers import PEERS, Peer
from tests.bench.shape import Layout, Shape
from tests.server import StudioServer

SIZES: Final = (10_000, 100_000, 1_000_000)
LAYOUTS: Final[tuple[Layout, ...]] = ("column", "table")


def agent_id(layout: str, threads: int) -> str:
    return f"bench-{layout}-{threads}"


def peer_schema(layout: str) -> str:
    return f"peer_{layout}"


@dataclass
class Stage:
    """Everything that is measured. `peers` are AgentOS' addresses by version; `layouts` are where runs are kept."""

    server: StudioServer
    home: Path
    shape: Shape
    browser: Browser
    peers: dict[str, Browser]
    layouts: tuple[Layout, ...] = LAYOUTS

    @property
    def dsn(self) -> str:
        return self.server.dsn

    def schema(self, layout: str) -> str:
        return schema_name(agent_id(layout, self.shape.threads))

    def path(self, layout: str, below: str) -> str:
        return f"/agents/{agent_id(layout, self.shape.threads)}/{below}"

    def place(self, layout: str, row: int) -> tuple[int, str]:
        """last_at and id of the thread at a row of the list, counted from 1."""
        query = "select last_at, session_id from memory_thread order by last_at desc, session_id desc offset %s limit 1"
        at, session_id = self.server.sql(query, row - 1, schema=self.schema(layout))[0]
        return at, session_id


def sizes(threads: int) -> list[int]:
    """Smaller sizes to compare with, then the size itself."""
    return [*(size for size in SIZES if size < threads), threads]


def prepare(server: StudioServer, shape: Shape, layouts: tuple[Layout, ...]) -> None:
    """Make the agents and AgentOS' tables, and fill what is not filled yet."""
    threads = shape.threads
    for size in sizes(threads):
        for layout in layouts:
            _agent(server, layout, replace(shape, threads=size))
    for peer in peers_of(layouts):
        schema = peer_schema(peer.layout)
        if not server.sql("select 1 from pg_namespace where nspname = %s", schema):
            peer.tables(server.dsn, schema)
        stored = server.sql("select count(*) from agno_sessions", schema=schema)[0][0]
        if stored != threads:
            server.sql("truncate agno_sessions cascade", schema=schema)
            print(f"Copying the same threads for AgentOS {peer.version} ...", flush=True)
            copy_schema(server.dsn, schema_name(agent_id(peer.layout, threads)), schema, runs=peer.layout)


def _agent(server: StudioServer, layout: Layout, shape: Shape) -> None:
    size = shape.threads
    name = agent_id(layout, size)
    schema = schema_name(name)
    if not server.sql("select 1 from pg_namespace where nspname = %s", schema):
        server.create_agent(name, name=f"Bench {layout} {size:,}")
    # a kept database lacks the oldest, which were deleted to measure that
    stored = server.sql("select count(*) from agno_sessions", schema=schema)[0][0]
    if stored < size:
        fill(server.dsn, schema, shape, layout, first=stored)


def peers_of(layouts: tuple[Layout, ...]) -> list[Peer]:
    """The versions of Agno that keep runs there."""
    return [peer for peer in PEERS if peer.layout in layouts]


@contextmanager
def on_stage(server: StudioServer, home: Path, shape: Shape, layouts: tuple[Layout, ...] = LAYOUTS) -> Iterator[Stage]:
    """Sign in to the studio and serve AgentOS over its tables, until the block ends."""
    with ExitStack() as stack:
        addresses = {
            peer.version: Browser(stack.enter_context(peer.serving(server.dsn, peer_schema(peer.layout))))
            for peer in peers_of(layouts)
        }
        yield Stage(server, home, shape, signed_in(server), addresses, layouts)


def signed_in(server: StudioServer) -> Browser:
    session = server.client().cookies["session"]
    return Browser(server.url, {"Cookie": f"session={session}"})


def versions(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        return str(connection.execute("show server_version").fetchone()[0])  # type: ignore[index]
