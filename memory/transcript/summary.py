"""The summary that Agno wrote of a thread."""

from typing import Final

from psycopg import sql

from memory.query import fetch

_LONGEST: Final = 100_000  # characters
_SUMMARY: Final = """
    select left(case jsonb_typeof(s.summary -> 'summary') when 'string' then s.summary ->> 'summary' end, {longest})
        as summary
    from agno_sessions s where s.session_id = %(session_id)s"""


def get_summary(session_id: str) -> str | None:
    """Return the text of a thread's summary; None where there is none."""
    rows = fetch(sql.SQL(_SUMMARY).format(longest=sql.Literal(_LONGEST)), {"session_id": session_id})
    return rows[0]["summary"] if rows else None
