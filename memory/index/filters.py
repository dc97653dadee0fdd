"""Filters of a list of threads, and their SQL over the thread index."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from psycopg import sql

from memory.query import count_some, count_table, user_key

# A row that waits to be counted anew may not have what is searched yet. Participants are looked at only where there are
# others than the owner. Of words nothing may be left when they are folded: that finds nothing, not everything.
_WORDS = "nullif(memory_folded(%(q)s), '')"
_NAMES = "coalesce(t.names_folded, memory_folded(concat_ws(chr(31), t.name, t.session_id, t.user_id)))"
# A name is content, and the index has it folded together with the ids.
_NAMES_WITHOUT_CONTENT = f"""case when t.name is null then {_NAMES}
        else memory_folded(concat_ws(chr(31), t.session_id, t.user_id)) end"""
_SEARCH = """(strpos({names}, {words}) > 0 {texts}
    or (t.users > 1 or t.user_id is null) and exists (
        select 1 from memory_participant s where s.session_id = t.session_id
            and strpos(memory_folded(s.user_id), {words}) > 0))"""
_SEARCH_TEXTS = f"""
    or strpos(coalesce(t.texts_folded, memory_folded(concat_ws(chr(31), t.first_text, t.last_text))),
        {_WORDS}) > 0"""
_OF_USER = "p.user_key = %(user_key)s"
# which of a user's threads: those they own, those of others with a run of theirs, or both
Part = Literal["", "owned", "joined"]
_PARTS: Final[dict[Part, str]] = {"owned": "p.is_owner", "joined": "not p.is_owner"}
# memory_user has the number of a user's threads. It still has those of a deletion that waits in the feed, which the
# rows of the page have not.
_COUNT_USER = """
    case when exists (select from memory_feed f where f.whole) then (select count(*) from memory_participant p
        join memory_thread t using (session_id) where p.user_key = %(user_key)s)
    else coalesce((select u.threads from memory_user u where u.user_key = %(user_key)s), 0) end as matching,
    null::integer as cap, null::bigint as estimate"""


@dataclass(frozen=True, slots=True)
class Filter:
    """Filters of a list of threads; the defaults match all.

    `user_id` "" is the user whose id is empty; `part` says which of their threads. `q` is searched in titles,
    previews, and ids of threads and users. `since` (inclusive) and `until` (exclusive) are epoch seconds of the last
    activity.
    """

    user_id: str | None = None
    q: str = ""
    status: str = ""
    since: int | None = None
    until: int | None = None
    errors: bool = False
    shared: bool = False
    part: Part = ""


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions as SQL. With `by_user` the source begins with the table of participants, `p`."""

    source: sql.Composable
    condition: sql.Composable
    by_user: bool
    count: sql.Composable


def conditions(filter: Filter, content: bool) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return a filter's conditions, in constant words, and their values.

    Without `content` the search looks at ids alone.
    """
    active = "t.last_at" if filter.user_id is None else "p.last_at"
    names, texts = (_NAMES, _SEARCH_TEXTS) if content else (_NAMES_WITHOUT_CONTENT, "")
    search = _SEARCH.format(names=names, texts=texts, words=_WORDS)
    terms: list[tuple[bool, str, dict[str, Any]]] = [
        (filter.user_id is not None, _OF_USER, {"user_key": user_key(filter.user_id or "")}),
        (filter.user_id is not None and bool(filter.part), _PARTS.get(filter.part, ""), {}),
        (filter.since is not None, f"{active} >= %(since)s", {"since": filter.since}),
        (filter.until is not None, f"{active} < %(until)s", {"until": filter.until}),
        (bool(filter.status), "t.last_status = %(status)s", {"status": filter.status}),
        (filter.errors, "t.errors > 0", {}),
        (filter.shared, "t.users > 1", {}),
        (bool(filter.q), search, {"q": filter.q}),
    ]
    chosen = [(term, values) for wanted, term, values in terms if wanted]
    return tuple(term for term, _ in chosen), {name: value for _, named in chosen for name, value in named.items()}


def where(terms: tuple[str, ...]) -> Where:
    """Write conditions as SQL."""
    by_user = _OF_USER in terms
    source = sql.SQL("memory_participant p join memory_thread t using (session_id)" if by_user else "memory_thread t")
    condition = sql.SQL(" and ").join(map(sql.SQL, terms)) if terms else sql.SQL("true")
    if not terms:
        count = count_table("memory_thread")
    elif terms == (_OF_USER,):
        count = sql.SQL(_COUNT_USER)
    else:
        count = count_some(source, condition)
    return Where(source, condition, by_user, count)
