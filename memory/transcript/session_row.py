"""The summary of a thread, and its row without the runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from memory.query import MOST_BYTES, fetch
from memory.transcript.media import label, without_bytes
from memory.transcript.pieces import stream
from memory.transcript.values import as_dict, as_list, string

_LONGEST: Final = 8_000

_SUMMARY: Final = """
    select left(case jsonb_typeof(s.summary -> 'summary') when 'string' then s.summary ->> 'summary' end, %(longest)s)
            as text,
        left(case jsonb_typeof(s.summary -> 'updated_at') when 'string' then s.summary ->> 'updated_at' end, 40) as at,
        case when pg_column_size(s.summary -> 'topics') < %(longest)s then (s.summary -> 'topics')::text end as topics
    from (select memory_json(summary::jsonb) as summary from agno_sessions where session_id = %(session_id)s offset 0) s
    where jsonb_typeof(s.summary) = 'object'"""

# Every column but `runs`, which may be huge. As json, which may have four times the size of jsonb.
_ROW: Final = """
    select json_build_object('session_id', s.session_id, 'session_type', s.session_type, 'agent_id', s.agent_id,
        'team_id', s.team_id, 'workflow_id', s.workflow_id, 'user_id', s.user_id, 'session_data', s.session_data,
        'agent_data', s.agent_data, 'team_data', s.team_data, 'workflow_data', s.workflow_data,
        'metadata', s.metadata, 'summary', s.summary, 'created_at', s.created_at, 'updated_at', s.updated_at
    ) as data from agno_sessions s where s.session_id = %(session_id)s"""


_OWNER: Final = """
    select user_id from agno_sessions where session_id = %(session_id)s and octet_length(user_id) <= %(most)s"""


@dataclass(frozen=True, slots=True)
class Summary:
    text: str
    topics: list[str]
    at: str


def get_summary(session_id: str, longest: int = _LONGEST) -> Summary | None:
    """Read Agno's summary of a thread, cut to `longest` characters; None if there is no text."""
    rows = fetch(sql.SQL(_SUMMARY), {"session_id": session_id, "longest": longest})
    if not rows:
        return None
    try:
        topics = json.loads(rows[0]["topics"] or "[]")
    except (ValueError, RecursionError):
        topics = []
    return _summary(rows[0]["text"], topics, rows[0]["at"])


def read_summary(stored: Any, longest: int = _LONGEST) -> Summary | None:
    """Read a stored summary that was fetched already, as get_summary does."""
    found = as_dict(stored)
    return _summary(string(found.get("summary"))[:longest], found.get("topics"), string(found.get("updated_at"))[:40])


def _summary(text: Any, topics: Any, at: Any) -> Summary | None:
    if not string(text).strip():
        return None
    words = [topic for one in as_list(topics)[:20] if (topic := label(one))]
    return Summary(without_bytes(text)[0], words, string(at))


def get_owner(session_id: str) -> str | None:
    """Read the whole id of a thread's owner; None for one that is too large for an answer, but not for a download."""
    rows = fetch(_OWNER, {"session_id": session_id, "most": MOST_BYTES})
    return rows[0]["user_id"] if rows else None


def stream_row(session_id: str) -> Iterator[str]:
    """Yield the thread's row without its runs, as JSON text in pieces; nothing if there is no such thread."""
    return stream(sql.SQL(_ROW), {"session_id": session_id})
