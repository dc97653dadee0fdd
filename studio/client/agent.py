"""Agents and their threads, as agent code uses them."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from studio.client.http import Call, Json, Send, Studio

T = TypeVar("T")

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_@:.+-]{0,254}", re.ASCII)
_KEY = re.compile(r"~\.[0-9a-f]{32}")
# bytes of an id in a path
_LONGEST = 4096
# characters of the id of a user that count
_COUNTS = 10_000
_PAGE = 20
# which of a user's threads
Part = Literal["", "owned", "joined"]


@dataclass(frozen=True)
class AgnoSettings:
    """The memory settings of an agent. `max_tool_calls_from_history` 0 means no cap."""

    session_storage: bool
    num_history_runs: int
    max_tool_calls_from_history: int
    session_summaries: bool
    user_memories: bool = False
    agentic_memory: bool = False
    agent_memories: bool = False
    agentic_culture: bool = False
    tool_call_limit: int | None = None


@dataclass(frozen=True)
class Session:
    """A thread. `user_id` is its owner, who may be another user than the one asked for; times are epoch seconds."""

    session_id: str
    user_id: str | None
    created_at: int | None
    updated_at: int | None
    summary: str | None
    runs: list[Json] = field(repr=False)

    @property
    def messages(self) -> list[Json]:
        """What was said in all runs, oldest first. The role `note` says what is missing, or why a run failed."""
        return [message for run in self.runs for message in run["messages"]]


class Sessions(list[Session]):
    """Threads of a user. `not_indexed` is how many others the list may lack, as they are not counted yet."""

    not_indexed: int = 0


@dataclass(frozen=True)
class ConnectionUri:
    uri: str = field(repr=False)


@dataclass(frozen=True)
class ConnectionString:
    id: str
    name: str
    organization_id: str
    connection_uri: ConnectionUri


@dataclass(frozen=True)
class AgentsListItem:
    id: str
    name: str
    icon: str
    description: str
    framework: str
    status: str
    instructions: Json = field(repr=False)
    organization_id: str
    created_at: str


@dataclass(frozen=True)
class Agent(AgentsListItem):
    """An agent and its threads.

    Calls about threads raise NotImplementedError for other frameworks than Agno, LookupError while session
    storage is off, and StudioError for whatever else the studio refuses. Only deletion works for all.
    """

    unique_name: str
    model_provider: str
    model_name: str
    version: int
    agno_settings: AgnoSettings
    _studio: "Studio" = field(repr=False, compare=False)

    async def aget_user_sessions(self, user_id: str, part: Part = "") -> Sessions:
        """Return threads of the user, newest first, with their runs.

        `part` "owned" gives those that the user owns, "joined" those of others with a run of theirs, "" both.
        """
        return await self._studio.awaited(lambda send: _user_sessions(send, self, user_id, part))

    def get_user_sessions(self, user_id: str, part: Part = "") -> Sessions:
        return self._studio.run(lambda send: _user_sessions(send, self, user_id, part))

    async def aget_session(self, session_id: str) -> Session | None:
        """Return one thread with its runs, None if there is no such thread."""
        return await self._studio.awaited(lambda send: _session(send, self, session_id))

    def get_session(self, session_id: str) -> Session | None:
        return self._studio.run(lambda send: _session(send, self, session_id))

    async def adelete_session(self, session_id: str) -> bool:
        """Delete a thread for good; return False if it is gone already."""
        return await self._studio.awaited(lambda send: _delete(send, self, session_id))

    def delete_session(self, session_id: str) -> bool:
        return self._studio.run(lambda send: _delete(send, self, session_id))

    async def aget_connection_string(self) -> ConnectionString:
        """Return the DSN of the agent's own database role, as `.connection_uri.uri`."""
        return await self._studio.awaited(lambda send: _connection(send, self))

    def get_connection_string(self) -> ConnectionString:
        return self._studio.run(lambda send: _connection(send, self))

    async def aget_db(self, async_db: bool = True) -> Any:
        """Return Agno's own AsyncPostgresDb, or PostgresDb, on the agent's schema."""
        _require_storage(self)
        return _agno_db(self, await self.aget_connection_string(), async_db)

    def get_db(self, async_db: bool = False) -> Any:
        _require_storage(self)
        return _agno_db(self, self.get_connection_string(), async_db)


class Agents:
    """The agents that the key reaches."""

    def __init__(self, base_url: str | None = None, api_key: str | None = None, timeout: float = 60) -> None:
        self._studio = Studio(base_url, api_key, timeout)

    async def alist(self) -> list[AgentsListItem]:
        return await self._studio.awaited(_list)

    # in quotes, because inside this class `list` is the method
    def list(self) -> "list[AgentsListItem]":
        return self._studio.run(_list)

    async def aget(self, agent_id: str, version: int | None = None) -> Agent:
        """Load an agent with its current settings, or those of `version`; raise StudioError if there is none."""
        return await self._studio.awaited(lambda send: _agent(send, self._studio, agent_id, version))

    def get(self, agent_id: str, version: int | None = None) -> Agent:
        return self._studio.run(lambda send: _agent(send, self._studio, agent_id, version))


async def _list(send: Send) -> list[AgentsListItem]:
    return [_fill(AgentsListItem, item) for item in await send(Call("agents/list"))]


async def _agent(send: Send, studio: Studio, agent_id: str, version: int | None) -> Agent:
    headers = {} if version is None else {"x-agent-version": str(version)}
    values = await send(Call(f"agents/{quote(agent_id, safe='')}", headers=headers))
    return _fill(Agent, {**values, "agno_settings": _fill(AgnoSettings, values["agno_settings"]), "_studio": studio})


async def _user_sessions(send: Send, agent: Agent, user_id: str, part: Part) -> Sessions:
    _require_storage(agent)
    # By creation, which never changes. By activity, a thread could move to a page that was read already.
    asked = _key(user_id[:_COUNTS]) if len(user_id.encode()) > _LONGEST else user_id
    params = {"user_id": asked, "part": part, "sort": "created", "limit": _PAGE, "include": "runs"}
    sessions = Sessions()
    while True:
        page = await send(Call(f"agents/{agent.id}/threads", params))
        sessions += [await _with_runs(send, agent, thread, thread["first_runs"]) for thread in page["items"]]
        # an older studio does not say it
        sessions.not_indexed = max(sessions.not_indexed, page.get("not_indexed", 0))
        if not page["next"]:
            return sessions
        params = {**params, "cursor": page["next"]}


async def _session(send: Send, agent: Agent, session_id: str) -> Session | None:
    _require_storage(agent)
    thread = await send(Call(_path(agent, session_id), or_none=True))
    return await _with_runs(send, agent, thread, None) if thread else None


async def _with_runs(send: Send, agent: Agent, thread: Json, page: Json | None) -> Session:
    """Return a thread with the runs of `page` and those that follow, or with all of them without a page."""
    runs: list[Json] = []
    if any(_KEY.fullmatch(thread[name] or "") for name in ("session_id", "user_id")):
        # a list has keys in place of long ids
        thread = await send(Call(_path(agent, thread["session_id"]), or_none=True)) or thread
    path, params = _path(agent, thread["session_id"]) + "/runs", {"limit": _PAGE}
    while True:
        # a thread that is deleted meanwhile just ends
        if page is None:
            page = await send(Call(path, params, or_none=True)) or {"items": [], "next": None}
        runs += page["items"]
        if not page["next"]:
            return _fill(Session, {"summary": None, **thread, "runs": runs})
        params, page = {**params, "cursor": page["next"]}, None


async def _delete(send: Send, agent: Agent, session_id: str) -> bool:
    return bool(await send(Call(_path(agent, session_id), method="DELETE", or_none=True)))


async def _connection(send: Send, agent: Agent) -> ConnectionString:
    values = await send(Call(f"agents/{agent.id}/db"))
    return _fill(ConnectionString, {**values, "connection_uri": ConnectionUri(values["connection_uri"]["uri"])})


def _agno_db(agent: Agent, connection: ConnectionString, async_db: bool) -> Any:
    try:
        from agno.db.postgres import AsyncPostgresDb, PostgresDb  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError(
            "This needs Agno and its database drivers: pip install agno 'sqlalchemy[asyncio]' 'psycopg[binary]'"
        ) from error
    driver = "postgresql+psycopg_async" if async_db else "postgresql+psycopg"
    # only the first, which is the scheme
    url = connection.connection_uri.uri.replace("postgresql", driver, 1)
    schema = "ag_" + agent.id.replace("-", "_")
    return (AsyncPostgresDb if async_db else PostgresDb)(db_url=url, db_schema=schema)


def _require_storage(agent: Agent) -> None:
    if agent.framework != "agno":
        raise NotImplementedError(f"Storage for framework '{agent.framework}' is not supported.")
    if not agent.agno_settings.session_storage:
        raise LookupError("Session storage is not enabled for this agent.")


def _key(long_id: str) -> str:
    return f"~.{sha256(long_id.encode()).hexdigest()[:32]}"


def _path(agent: Agent, session_id: str) -> str:
    """Write an id, or the key of a long one, as one segment of a path, as the API documents it."""
    segment = session_id
    if len(session_id.encode()) > _LONGEST:
        segment = _key(session_id)
    elif not _PLAIN.fullmatch(session_id) and not _KEY.fullmatch(session_id):
        segment = "~" + base64.urlsafe_b64encode(session_id.encode()).decode().rstrip("=")
    return f"agents/{agent.id}/threads/{segment}"


def _fill(kind: Callable[..., T], values: Json) -> T:
    """Make a dataclass of the values that it knows."""
    # a newer studio may send more
    return kind(**{one.name: values[one.name] for one in fields(kind) if one.name in values})  # type: ignore[arg-type]
