"""Routes of users, threads, runs and messages. Lists read the thread index and never a transcript."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from ninja import Query, Router, Status

from memory.api.runs import RUNS, page_of_messages, page_of_runs
from memory.api.schemas import CountedPage, Cursor, Message, Page, Run, SessionId, Thread, ThreadQuery, User
from memory.index import paging, threads, users
from memory.index.lag import Lag
from memory.index.threads import Filter
from memory.query import Row
from memory.services import deletion, reading
from memory.transcript import runs, session_row
from memory.transcript.place import Place
from memory.transcript.runs import RunPage
from studio import ids
from studio.api import auth
from studio.api.agents import Id
from studio.api.auth import ApiRequest
from studio.api.problems import NOTHING_HERE, Problem
from studio.api.schemas import answers
from studio.audit.record import record
from studio.models import Agent

router = Router(tags=["Threads"])

T = TypeVar("T")
Json = dict[str, Any]
READ: Final = "threads:read"
STORED: Final = (409, 501)
# the most bytes of runs in one list of threads
INCLUDED: Final = 4_000_000
MOST_WITH_RUNS: Final = 20
SUMMARY: Final = 100_000  # characters
PAGING: Final = {"sort", "cursor", "limit"}

Limit = Annotated[int, Query(ge=1, le=200)]
Prefix = Annotated[str, Query(max_length=1000, description="what the user's id begins with")]
Order = Annotated[Literal["oldest", "newest"], Query(description="which come first")]


@router.get(
    "/agents/{agent:agent_id}/users",
    operation_id="list_users",
    **answers(200, CountedPage[User], *STORED, scope="agents:read"),
)
def list_users(
    request: ApiRequest,
    agent_id: Id,
    q: Prefix = "",
    sort: Literal["seen", "threads", "runs"] = "seen",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> dict[str, Any]:
    """List users of the agent, with the numbers of their threads and runs."""
    auth.get_storing_agent(request, agent_id, "agents:read")
    _only(request, PAGING | {"q"})
    page = _with_cursor(lambda: users.list_users(q, sort, cursor, limit))
    rows = [{**row, "first_seen": row["first_at"], "last_seen": row["seen_at"]} for row in page.rows]
    return _counted(page, rows)


@router.get(
    "/agents/{agent:agent_id}/threads",
    operation_id="list_threads",
    exclude_unset=True,
    **answers(200, CountedPage[Thread], *STORED, scope="agents:read"),
)
def list_threads(
    request: ApiRequest,
    agent_id: Id,
    filter: Query[ThreadQuery],
    sort: Literal["activity", "created", "runs", "tokens"] = "activity",
    cursor: Cursor = "",
    limit: Limit = 50,
    include: Annotated[
        Literal["", "runs"],
        Query(description="runs adds each thread's first runs; needs threads:read; at most 20 threads"),
    ] = "",
) -> dict[str, Any]:
    """List threads that match, without their content; names, first messages and a search in texts need threads:read."""
    agent = auth.get_storing_agent(request, agent_id, READ if include else "agents:read")
    _only(request, PAGING | {"include"} | set(ThreadQuery.model_fields))
    if filter.part and filter.user_id is None:
        raise Problem(422, "part: goes with user_id")
    content = auth.access_of(request).may(READ, agent_id)
    limit = min(limit, MOST_WITH_RUNS) if include else limit
    page = _with_cursor(lambda: threads.list_threads(Filter(**filter.dict()), sort, cursor, limit, content))
    rows = [_thread(agent, row) for row in page.rows]
    # once for a search, and not again for each of its pages
    if filter.q and content and not cursor:
        reading.record_search(auth.actor_of(request), agent, filter.q)
    if include:
        _add_runs(rows)
        _log_reading(request, agent, threads=len(rows))
    return _counted(page, rows)


@router.get(
    "/agents/{agent:agent_id}/threads/{any:session_id}",
    operation_id="get_thread",
    exclude_unset=True,
    **answers(200, Thread, *STORED, scope="agents:read"),
)
def get_thread(request: ApiRequest, agent_id: Id, session_id: SessionId) -> dict[str, Any]:
    """Return counts, users and times; with threads:read also the summary, which is logged as read."""
    agent = auth.get_storing_agent(request, agent_id, "agents:read")
    content = auth.access_of(request).may(READ, agent_id)
    thread = _find(session_id, content)
    summary = _summary(thread["session_id"]) if content else None
    if summary:
        _log_reading(request, agent, session_id)
    found = _thread(agent, thread | {"session_id": ids.key(thread["session_id"])})
    return {**found, **_whole(thread), "summary": summary, "behind": _behind(thread["lag"])}


@router.get(
    "/agents/{agent:agent_id}/threads/{any:session_id}/runs",
    operation_id="list_runs",
    **answers(200, Page[Run], *STORED, scope="threads:read"),
)
def list_runs(
    request: ApiRequest,
    agent_id: Id,
    session_id: SessionId,
    order: Order = "oldest",
    cursor: Cursor = "",
    limit: Limit = 20,
) -> dict[str, Any]:
    """List runs with what was said in them and inside them. A page may be shorter than `limit` if runs are large."""
    agent = auth.get_storing_agent(request, agent_id, READ)
    thread = _find(session_id)
    page = _with_cursor(lambda: runs.list_runs(thread, Place.read(cursor), limit, order))
    _log_reading(request, agent, session_id)
    return _run_page(thread, page)


@router.get(
    "/agents/{agent:agent_id}/threads/{any:session_id}/messages",
    operation_id="list_messages",
    **answers(200, Page[Message], *STORED, scope="threads:read"),
)
def list_messages(
    request: ApiRequest, agent_id: Id, session_id: SessionId, cursor: Cursor = "", limit: Limit = 100
) -> dict[str, Any]:
    """List messages of all runs and of those inside them, oldest first."""
    agent = auth.get_storing_agent(request, agent_id, READ)
    thread = _find(session_id)
    items, following = _with_cursor(lambda: page_of_messages(thread, cursor, limit))
    _log_reading(request, agent, session_id)
    return {"items": items, "next": following, "previous": None}


@router.delete(
    "/agents/{agent:agent_id}/threads/{any:session_id}",
    operation_id="delete_thread",
    **answers(204, None, scope="threads:delete"),
)
def delete_thread(request: ApiRequest, agent_id: Id, session_id: SessionId) -> Any:
    """Delete a thread with all its runs, for good, also while storage is off; 404 if it is gone already."""
    agent = auth.get_agent(request, agent_id, "threads:delete")
    try:
        whole = deletion.chosen(agent, [session_id])
        deleted = deletion.delete_threads(auth.actor_of(request), agent, whole)
    except deletion.Busy as error:
        raise Problem(503, "The agent is writing to this thread. Try again.", Retry_After="1") from error
    if not deleted.threads:
        raise Problem(404, NOTHING_HERE)
    return Status(204, None)


def _find(session_id: str, content: bool = True) -> Row:
    thread = threads.get_thread(session_id, content)
    if thread is None:
        raise Problem(404, NOTHING_HERE)
    return thread


def _only(request: ApiRequest, known: set[str]) -> None:
    """Raise 422 for an unknown parameter."""
    # a filter with a misspelt name would match everything
    if unknown := sorted(set(request.GET) - known):
        raise Problem(422, f"{unknown[0][:100]}: there is no such parameter")


def _with_cursor(read: Callable[[], T]) -> T:
    """Run a read whose only ValueError is about its cursor."""
    try:
        return read()
    except ValueError as error:
        raise Problem(422, "cursor: was not made for this list, filter and sort") from error


def _log_reading(request: ApiRequest, agent: Agent, session_id: str = "", threads: int = 1) -> None:
    """Log that content was read."""
    # of many threads only their number, because ids may be personal data
    data = {"counts": {"threads": threads}} if threads != 1 else {}
    record(auth.actor_of(request), "thread.read", agent=agent, object=ids.key_of(session_id), data=data)


def _thread(agent: Agent, row: Row) -> dict[str, Any]:
    url = f"/api/agents/{agent.pk}/threads/{ids.encode(row['session_id'])}"
    # a time that nobody knows is 0 in the index
    times = {"created_at": row["created_at"] or None, "last_activity": row["last_at"] or None}
    return {**row, **times, "url": url}


def _whole(thread: Row) -> Json:
    """Return the whole ids of a thread and its owner, of which lists have keys."""
    user = thread["user_id"]
    if user is not None and ids.is_key(user):
        user = session_row.get_owner(thread["session_id"]) or user
    return {"session_id": thread["session_id"], "user_id": user}


def _summary(session_id: str) -> str | None:
    found = session_row.get_summary(session_id, SUMMARY)
    return found.text if found else None


def _add_runs(rows: list[Row]) -> None:
    """Add the summary and the first page of runs to each thread, until the runs reach INCLUDED bytes."""
    carried = 0
    for row in rows:
        thread = threads.get_thread(row["session_id"])
        row["summary"] = _summary(thread["session_id"]) if thread else None
        row["first_runs"] = None
        if thread is None or carried > INCLUDED:
            continue
        page = runs.list_runs(thread, None, RUNS, runs.OLDEST)
        carried += sum(stored.bytes for stored in page.runs if not stored.too_large)
        row["first_runs"] = _run_page(thread, page)


def _run_page(thread: Row, page: RunPage) -> dict[str, Any]:
    return {"items": page_of_runs(thread, page.runs), "next": page.next, "previous": page.previous}


def _counted(page: paging.Page, rows: list[Row]) -> dict[str, Any]:
    return {
        "items": rows,
        "next": page.older,
        "previous": page.newer,
        "total": page.count,
        "total_is_exact": page.count_is_exact,
        "behind": _behind(page.lag),
        "not_indexed": page.lag.left,
    }


def _behind(lag: Lag) -> float:
    return round(lag.behind, 1)
