"""The right content of the thread index, counted in Python from Agno's tables to compare with the SQL."""

import json
import re
from collections import defaultdict
from contextlib import suppress
from typing import Any

from django.db import connection

from memory.index import feed

Row = dict[str, Any]
_UNITS = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))


def _rows(query: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _seconds(value: Any) -> int | None:
    """Read a time, which may be in milliseconds or finer, and in JSON a text of digits."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value):
        value = int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 9e18:
        return None
    return int(value) // next(
        (unit for limit, unit in ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3)) if value >= limit), 1
    )


def _began(run: Any, stored: Any) -> int | None:
    """The time of the first own message that has one, else the run's own."""
    own = [m for m in _list(_dict(run).get("messages")) if isinstance(m, dict) and m.get("from_history") is not True]
    times = [m["created_at"] for m in own if isinstance(m.get("created_at"), str) or _seconds(m.get("created_at"))]
    first = _seconds(times[0]) if times else None
    return _seconds(stored) if first is None else first


def _dict(value: Any) -> Row:
    return value if isinstance(value, dict) else {}


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
    run = _dict(run)
    shown = [
        m
        for m in _list(run.get("messages"))
        if isinstance(m, dict) and m.get("role") != "system" and m.get("from_history") is not True
    ]
    metrics = _dict(run.get("metrics"))
    tool_messages = sum(m.get("role") == "tool" for m in shown)
    return {
        "messages": len(shown),
        "tool_calls": max(tool_messages, len(_list(run.get("tools")))),
        "errors": sum(m.get("tool_call_error") is True for m in shown) + (run.get("status") == "ERROR"),
        "text_bytes": _stored_size(run["messages"]) if "messages" in run else 0,
        "run_input_tokens": _count(metrics.get("input_tokens")) or 0,
        "run_output_tokens": _count(metrics.get("output_tokens")) or 0,
    }


def _inside(run: Any, depth: int = 0) -> list[Row]:
    """The runs inside a run, at any depth that is read."""
    found = []
    for name in ("member_responses", "step_executor_runs", "workflow_agent_run"):
        value = _dict(run).get(name)
        for one in [value] if name == "workflow_agent_run" and isinstance(value, dict) else _list(value):
            found += [_dict(one), *(_inside(one, depth + 1) if depth < 6 else [])]
    return found


def _text(run: Row, key: str, role: str, newest: bool) -> str | None:
    given = run.get(key)
    if isinstance(given, dict):
        given = given.get("input_content")
    if line := _line(given):
        return line
    texts = [m for m in _list(run.get("messages")) if isinstance(m, dict) and m.get("role") == role]
    texts = [m for m in texts if m.get("from_history") is not True]
    lines = [line for m in texts if (line := _line(m.get("content")))]
    return lines[-1 if newest else 0] if lines else None


def count() -> dict[str, dict[Any, Row]]:
    """Return {table: {key: row}} for memory_thread, memory_participant and memory_user."""
    sessions = _rows("select *, runs::text as raw from agno_sessions")
    table_runs: dict[str, list[Row]] = defaultdict(list)
    for row in _rows("select * from agno_runs"):
        table_runs[row["session_id"]].append(row)
    threads, participants = {}, {}
    for session in sessions:
        sid = session["session_id"]
        session["user_id"] = _person(session["user_id"])
        thread, people = _thread(session, table_runs[sid])
        threads[sid] = thread
        for user_id, person in people.items():
            participants[sid, user_id] = person
    return {"memory_thread": threads, "memory_participant": participants, "memory_user": _users(participants)}


def _runs(session: Row, rows: list[Row]) -> tuple[list[Row], bool]:
    """The runs that count, in the order in which a person reads them, and whether Agno has another order."""
    elements = [_run(run, _dict(run) | {"run_id": _dict(run).get("run_id") or ""}) for run in _elements(session)]
    table = {row["run_id"]: _run(_decoded(_loaded(row["run_data"])), row) for row in rows}
    runs: list[Row] = []
    for element in elements:
        stand_in = table.pop(element["id"], None) if element["id"] else None
        if stand_in or element["id"] not in [row["run_id"] for row in rows]:
            runs.append(stand_in or element)
    began, latest = _seconds(session["created_at"]) or 0, 0
    rest = sorted(table.values(), key=lambda r: (r["index"] is None, r["index"] or 0, r["at"] or began, r["id"]))
    for place, one in enumerate(rest):
        owns = session["user_id"] is None or one["user"] in (None, session["user_id"])
        latest = max(latest, one["at"] or began) if owns else latest
        one["key"] = (latest, 0, place) if owns else (one["at"] or began, 1, place)
    for_a_person = sorted(rest, key=lambda r: r["key"])
    return runs + for_a_person, for_a_person != rest


def _decoded(value: Any) -> Any:
    """Read JSON that was stored as a text; any other text stays one."""
    if isinstance(value, str):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _elements(session: Row) -> list[Any]:
    """The runs of the column; anything but an array is one that cannot be read."""
    runs = _decoded(json.loads(session["raw"])) if session["raw"] else None
    return [_decoded(run) for run in runs] if isinstance(runs, list) else [runs][: runs not in (None, "", {})]


def _person(user_id: Any) -> Any:
    return user_id[:10000] if isinstance(user_id, str) else user_id


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _run(run: Any, row: Row) -> Row:
    inside = _inside(run)
    return {
        "run": _dict(run),
        "id": row["run_id"],
        "user": _person(row.get("user_id")),
        "status": row.get("status"),
        "parent": row.get("parent_run_id"),
        "index": row.get("run_index"),
        "at": _began(run, row.get("created_at")),
        "facts": [_facts(run) | {"errors": _facts({**_dict(run), "status": row.get("status")})["errors"]}],
        "inside": [(one.get("run_id"), _facts(one)) for one in inside],
    }


def _thread(session: Row, rows: list[Row]) -> tuple[Row, dict[str, Row]]:
    elements = _elements(session)
    runs, reordered = _runs(session, rows)
    earliest = min((one["at"] for one in runs if one["at"]), default=None)
    began = _seconds(session["created_at"])
    session["at"] = began or earliest or _seconds(session["updated_at"]) or 0
    own = {one["id"] for one in runs}
    facts = [f for one in runs for f in one["facts"] + [f for run_id, f in one["inside"] if run_id not in own]]
    for one in runs:
        one["at"] = one["at"] or began
    owner, active = session["user_id"], _seconds(session["updated_at"]) or session["at"]
    people: dict[str, Row] = {}
    for user_id in {r["user"] if r["user"] is not None else owner for r in runs} | {owner}:
        if user_id is None:
            continue
        theirs = [r for r in runs if (r["user"] if r["user"] is not None else owner) == user_id]
        times = [r["at"] for r in theirs if r["at"]]
        people[user_id] = {
            "is_owner": user_id == owner,
            "runs": len(theirs),
            "first_at": min(times, default=session["at"]),
            "seen_at": max(times, default=session["at"]),
            "last_at": active,
        }
    ordered = [r for r in runs if r["parent"] is None]
    data = _dict(_decoded(_loaded(session["session_data"])))
    summary = _decoded(_loaded(session["summary"]))
    metrics = data.get("session_metrics") or {}
    tokens_in, tokens_out = _count(metrics.get("input_tokens")), _count(metrics.get("output_tokens"))
    sums = {
        key: sum(one[key] for one in facts)
        for key in ("messages", "tool_calls", "errors", "text_bytes", "run_input_tokens", "run_output_tokens")
    }
    return {
        **sums,
        "user_id": owner,
        "name": _line(data.get("session_name")),
        "has_summary": isinstance(summary, dict),
        "runs": len(runs),
        "table_runs": len(rows),
        "column_runs": len(elements),
        "reordered": reordered,
        "users": len(people),
        "first_run_id": ordered[0]["id"] if ordered else None,
        "last_run_id": ordered[-1]["id"] if ordered else None,
        "last_status": ordered[-1]["status"] if ordered else None,
        "first_text": _text(ordered[0]["run"], "input", "user", newest=False) if ordered else None,
        "last_text": _text(ordered[-1]["run"], "content", "assistant", newest=True) if ordered else None,
        "tokens": (sums["run_input_tokens"] if tokens_in is None else tokens_in)
        + (sums["run_output_tokens"] if tokens_out is None else tokens_out),
        "last_at": active,
        "created_at": session["at"],
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
