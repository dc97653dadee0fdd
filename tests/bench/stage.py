"""The studio with its agents and AgentOS beside it, filled and running."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from studio.ids import schema_name
from tests.bench.fill import copy_newest, copy_schema, fill
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
        schema = self.schema(layout if layout in self.layouts else self.layouts[0])
        at, session_id = self.server.sql(query, row - 1, schema=schema)[0]
        return at, session_id


def sizes(threads: int) -> list[int]:
    """Smaller sizes to compare with, then the size itself."""
    return [*(size for size in SIZES if size < threads), threads]


def prepare(server: StudioServer, shape: Shape, layouts: tuple[Layout, ...]) -> None:
    """Make the agents and AgentOS' tables, and fill what is not filled yet."""
    threads = shape.threads
    _agents(server, layouts, shape)
    for size in sizes(threads)[:-1]:
        _smaller(server, layouts[0], shape, size)
    peers = [peer for peer in peers_of(layouts) if _needs_rows(server, peer, threads)]
    for peer in peers:
        print(f"Copying the same threads for AgentOS {peer.version} ...", flush=True)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_copy, server, peer, threads) for peer in peers]:
            done.result()


def _needs_rows(server: StudioServer, peer: Peer, threads: int) -> bool:
    schema = peer_schema(peer.layout)
    if not server.sql("select 1 from pg_namespace where nspname = %s", schema):
        peer.tables(server.dsn, schema)
    return bool(server.sql("select count(*) from agno_sessions", schema=schema)[0][0] != threads)


def _copy(server: StudioServer, peer: Peer, threads: int) -> None:
    source = schema_name(agent_id(peer.layout, threads))
    copy_schema(server.dsn, source, peer_schema(peer.layout), runs=peer.layout)


def _agents(server: StudioServer, layouts: tuple[Layout, ...], shape: Shape) -> None:
    """Make an agent for each layout; those that hold as much, mostly nothing, are filled in one go."""
    size, held = shape.threads, defaultdict[int, dict[str, Layout]](dict)
    for layout in layouts:
        schema = _agent(server, layout, size)
        # a kept database lacks the oldest, which were deleted to measure that
        held[server.sql("select count(*) from agno_sessions", schema=schema)[0][0]][schema] = layout
    for stored, schemas in held.items():
        if stored < size:
            fill(server.dsn, schemas, shape, first=stored)


def _smaller(server: StudioServer, layout: Layout, shape: Shape, size: int) -> None:
    """Make an agent that has only the newest threads, to compare costs with."""
    whole, schema = schema_name(agent_id(layout, shape.threads)), _agent(server, layout, size)
    if server.sql("select count(*) from agno_sessions", schema=schema)[0][0] < size:
        copy_newest(server.dsn, whole, schema, [shape.session_id(number) for number in range(size)])


def _agent(server: StudioServer, layout: Layout, size: int) -> str:
    """Make an agent unless it is there; returns its schema."""
    name = agent_id(layout, size)
    schema = schema_name(name)
    if not server.sql("select 1 from pg_namespace where nspname = %s", schema):
        server.create_agent(name, name=f"Bench {layout} {size:,}")
    return schema


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
