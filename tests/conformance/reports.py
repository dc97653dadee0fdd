"""Counts of a thread: those that a library reports, and those in the thread index."""

from typing import Any

from tests.server import StudioServer

COLUMNS = (
    "user_id",
    "name",
    "has_summary",
    "session_type",
    "runs",
    "messages",
    "tool_calls",
    "input_tokens",
    "output_tokens",
    "last_status",
    "users",
)


def indexed(server: StudioServer, schema: str, session_id: str) -> dict[str, Any] | None:
    """Return a thread's row of the index, None if there is none."""
    server.fold(schema)
    query = f"select {', '.join(COLUMNS)} from memory_thread where session_id = %s"
    rows = server.sql(query, session_id, schema=schema)
    return dict(zip(COLUMNS, rows[0], strict=True)) if rows else None


def counted(report: dict[str, Any]) -> dict[str, Any]:
    """Count what a library has read back, in the way in which the index must count."""
    runs, owner = report["runs"], report["user_id"]
    if report["session_type"] == "agent":
        assert sum(len(run["messages"]) for run in runs) == len(report["messages"])
    # a member may be stored by itself, too
    own = {run["run_id"] for run in runs}
    said = [*runs, *(run for run in inside(runs) if run["run_id"] not in own)]
    return {
        "user_id": owner,
        "name": report["name"],
        "has_summary": report["summary"] is not None,
        "session_type": report["session_type"],
        "runs": len(runs),
        "messages": sum(len(run["messages"]) for run in said),
        "tool_calls": sum(run["tool_calls"] for run in said),
        "input_tokens": report["tokens"][0],
        "output_tokens": report["tokens"][1],
        "last_status": "COMPLETED",
        "users": len({owner, *(run["user_id"] or owner for run in runs)} - {None}),
    }


def inside(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs inside runs of teams and workflows, at any depth."""
    return [found for run in runs for member in run["inside"] for found in (member, *inside([member]))]
