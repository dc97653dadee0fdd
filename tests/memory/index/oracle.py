"""The right content of the thread index, counted in Python from Agno's tables to compare with the SQL."""

import json
from collections import defaultdict
from typing import Any

from django.db import connection

from memory.index import feed

Row = dict[str, Any]


def _rows(query: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 9e15 else None


def _count(value: Any) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(min(max(value, 0), 1e12))


def _line(text: Any) -> str | None:
    return " ".join(text[:1000].strip()[:300].split())[:160] or None if isinstance(text, str) else None


def _stored_size(messages: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("select pg_column_size(%s::jsonb)", [json.dumps(messages)])
        return int(cursor.fetchone()[0])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _facts(run: Any) -> Row:
    run = run if isinstance(run, dict) else {}
    shown = [
        m
        for m in _list(run.get("messages"))
        if isinstance(m, dict) and m.get("role") != "system" and m.get("from_history") is not True
    ]
    metrics = run.get("metrics") if isinstance(run.get("metrics"), dict) else {}
    tool_messages = sum(m.get("role") == "tool" for m in shown)
    return {
        "messages": len(shown),
        "tool_calls": max(tool_messages, len(_list(run.get("tools")))),
        "errors": sum(m.get("tool_call_error") is True for m in shown),
        "text_bytes": _stored_size(run["messages"]) if "messages" in run else 0,
        "run_input_tokens": _count(metrics.get("input_tokens")) or 0,
        "run_output_tokens": _count(metrics.get("output_tokens")) or 0,
        "run": run,
    }


def _text(run: Row, key: str, role: str, newest: bool) -> str | None:
    given = run.get(key)
    if isinstance(given, dict):
        given = given.get("input_content")
    if line := _line(given):
        return line
    texts = [m for m in _list(run.get("messages")) if isinstance(m, dict) and m.get("role") == role]
    texts = [m for m in texts if m.get("from_history") is not True]
    return _line(texts[-1 if newest else 0].get("content")) if texts else None


def count() -> dict[str, dict[Any, Row]]:
    """Return {table: {key: row}} for memory_thread, memory_participant and memory_user."""
    sessions = _rows("select *, runs::text as raw from agno_sessions")
    table_runs: dict[str, list[Row]] = defaultdict(list)
    for row in _rows("select * from agno_runs"):
        table_runs[row["session_id"]].append(row)
    threads, participants = {}, {}
    for session in sessions:
        sid = session["session_id"]
        thread, people = _thread(session, table_runs[sid])
        threads[sid] = thread
        for user_id, person in people.items():
            participants[sid, user_id] = person
    return {"memory_thread": threads, "memory_participant": participants, "memory_user": _users(participants)}


def _thread(session: Row, rows: list[Row]) -> tuple[Row, dict[str, Row]]:
    elements = _list(json.loads(session["raw"]) if session["raw"] else None)
    in_table = {row["run_id"] for row in rows}
    runs = []
    last_at, is_sorted = None, True
    for position, element in enumerate(elements):
        doc = element if isinstance(element, dict) else {}
        at = _number(doc.get("created_at"))
        at = session["created_at"] if at is None else at
        is_sorted = is_sorted and (last_at is None or at >= last_at)
        last_at = at
        if doc.get("run_id") in in_table:
            continue
        runs.append(
            _facts(element)
            | {"id": doc.get("run_id") or "", "user": doc.get("user_id"), "status": doc.get("status")}
            | {"parent": doc.get("parent_run_id"), "at": at, "index": position}
        )
    for row in rows:
        data = json.loads(row["run_data"]) if isinstance(row["run_data"], str) else row["run_data"]
        runs.append(
            _facts(data)
            | {"id": row["run_id"], "user": row["user_id"], "status": row["status"]}
            | {"parent": row["parent_run_id"], "at": row["created_at"], "index": row["run_index"] or 0}
        )
    owner, active = session["user_id"], session["updated_at"] or session["created_at"]
    people: dict[str, Row] = {}
    for user_id in {r["user"] if r["user"] is not None else owner for r in runs} | {owner}:
        if user_id is None:
            continue
        times = [r["at"] for r in runs if (r["user"] if r["user"] is not None else owner) == user_id]
        people[user_id] = {
            "is_owner": user_id == owner,
            "runs": len(times),
            "first_at": min(times, default=session["created_at"]),
            "seen_at": max(times, default=session["created_at"]),
            "last_at": active,
        }
    ordered = sorted((r for r in runs if r["parent"] is None), key=lambda r: (r["at"], r["index"], r["id"]))
    data = json.loads(session["session_data"]) if session["session_data"] else {}
    summary = json.loads(session["summary"]) if session["summary"] else None
    metrics = data.get("session_metrics") or {}
    tokens_in, tokens_out = _count(metrics.get("input_tokens")), _count(metrics.get("output_tokens"))
    sums = {
        key: sum(r[key] for r in runs)
        for key in ("messages", "tool_calls", "text_bytes", "run_input_tokens", "run_output_tokens")
    }
    return {
        **sums,
        "user_id": owner,
        "name": _line(data.get("session_name")),
        "has_summary": isinstance(summary, dict),
        "runs": len(runs),
        "table_runs": len(rows),
        "column_runs": len(elements),
        "column_sorted": is_sorted,
        "errors": sum(r["errors"] + (r["status"] == "ERROR") for r in runs),
        "users": len(people),
        "first_run_id": ordered[0]["id"] if ordered else None,
        "last_run_id": ordered[-1]["id"] if ordered else None,
        "last_status": ordered[-1]["status"] if ordered else None,
        "first_text": _text(ordered[0]["run"], "input", "user", newest=False) if ordered else None,
        "last_text": _text(ordered[-1]["run"], "content", "assistant", newest=True) if ordered else None,
        "tokens": (sums["run_input_tokens"] if tokens_in is None else tokens_in)
        + (sums["run_output_tokens"] if tokens_out is None else tokens_out),
        "last_at": active,
        "created_at": session["created_at"],
    }, people


def _users(participants: dict[Any, Row]) -> dict[Any, Row]:
    users: dict[Any, Row] = {}
    for (_, user_id), person in participants.items():
        user = users.setdefault(
            user_id, {"threads": 0, "runs": 0, "first_at": person["first_at"], "seen_at": person["seen_at"]}
        )
        user["threads"] += 1
        user["runs"] += person["runs"]
        user["first_at"] = min(user["first_at"], person["first_at"])
        user["seen_at"] = max(user["seen_at"], person["seen_at"])
    return users


_READ = {
    "memory_thread": """
        select t.*, a.run_id as first_run_id, z.run_id as last_run_id from memory_thread t
        left join memory_run a on a.session_id = t.session_id and a.key = t.first_run
        left join memory_run z on z.session_id = t.session_id and z.key = t.last_run"""
}


def kept(expected: dict[str, dict[Any, Row]]) -> dict[str, dict[Any, Row]]:
    """Read the index in the shape of `count`, with the columns that `count` knows."""
    keys = {
        "memory_thread": lambda r: r["session_id"],
        "memory_participant": lambda r: (r["session_id"], r["user_id"]),
        "memory_user": lambda r: r["user_id"],
    }
    found: dict[str, dict[Any, Row]] = {}
    for table, key in keys.items():
        columns = next(iter(expected[table].values()), {})
        found[table] = {key(r): {c: r[c] for c in columns} for r in _rows(_READ.get(table, f"select * from {table}"))}
    return found


def assert_exact() -> None:
    """Compare the index with a count in Python, after what waits is folded."""
    feed.fold_all()
    expected = count()
    found = kept(expected)
    for table, rows in expected.items():
        for key in rows.keys() | found[table].keys():
            kept_row, right = found[table].get(key), rows.get(key)
            assert kept_row == right, f"{table} {key}: {kept_row}, right is {right}"
    assert _rows("select session_id from memory_run except select session_id from agno_sessions") == []
