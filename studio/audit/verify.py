"""Verification of the audit log: no event was changed, removed, inserted or moved, and the end is not cut off."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from studio.audit import head, tombstones

BATCH: Final = 5000
# a log that was rewritten has a fault in every event
MOST: Final = 100

# The hash is computed here and not by the trigger's function, which an attacker could have replaced.
_SQL: Final = """
    select id, encode(prev_hash, 'hex'), encode(hash, 'hex'),
        encode(sha256(prev_hash || convert_to(jsonb_build_array(
            id, (extract(epoch from at) * 1000000)::bigint, actor_kind, actor_id, actor, ip,
            request_id, agent_id, action, object, data, reason)::text, 'UTF8')), 'hex')
    from public.studio_auditevent where id > %s order by id limit %s
"""


@dataclass(frozen=True, slots=True)
class Report:
    """The result: the number of events, the id of the last one, and the faults in words."""

    events: int
    last: int
    faults: list[str]


def verify(on_batch: Callable[[int], None] = lambda events: None) -> Report:
    """Read the whole log, check its chain, and compare it with the head in the file."""
    # The head is read first. Events that are written meanwhile make the log longer than the head, which is no fault.
    faults: list[str] = []
    try:
        kept = head.read()
    except head.Unreadable as error:
        kept, faults = None, [f"{error}. Without it, events that were cut off at the end are not noticed."]
    events, last, hash_of_last = 0, 0, ""
    kept_is_there = False
    for id, prev, hash, should in _rows(on_batch):
        faults += _faults(id, prev, hash, should, last, hash_of_last)
        kept_is_there = kept_is_there or (kept is not None and id == kept.id and hash == kept.hash)
        events, last, hash_of_last = events + 1, id, hash
    if kept is not None and not kept_is_there:
        faults.append(_cut(kept, last))
    faults += _of_tombstones()
    return Report(events, last, faults[:MOST])


def _faults(id: int, prev: str, hash: str, should: str, last: int, hash_of_last: str) -> Iterator[str]:
    if id != last + 1:
        missing = f"Event {last + 1} is" if id == last + 2 else f"Events {last + 1} to {id - 1} are"
        yield f"{missing} missing."
    elif prev != hash_of_last:
        yield f"Event {id} does not follow the one before it: an event was put in, or the order was changed."
    if hash != should:
        yield f"Event {id} was changed."


def _cut(kept: head.Head, last: int) -> str:
    if kept.id > last:
        missing = "1 event is" if kept.id == last + 1 else f"{kept.id - last:,} events are"
        return (
            f"The end is cut off: event {kept.id} was written down in {head.path()}, and the log ends at {last}."
            f" The database is older than that file: {missing} missing. So looks a database that was restored from a"
            " backup, and one from which somebody took events away."
        )
    return f"Event {kept.id} is not the one that was written down in {head.path()}: the log was written anew."


def _of_tombstones() -> Iterator[str]:
    where = tombstones.path()
    try:
        faulty = [line for line in tombstones.lines() if line.faulty]
        lost = len(tombstones.lost())
    except OSError as error:
        yield f"{where} cannot be read ({error.strerror}). Without it, deletions that a backup undid are not noticed."
        return
    if changed := [str(line.number) for line in faulty if not line.torn][:MOST]:
        yield f"In {where} these lines are not as they were written: {', '.join(changed)}."
    if any(line.torn for line in faulty):
        yield f"The last line of {where} has no end, as a crash leaves it. The next start cuts it off."
    if lost:
        yield f"The database does not know {lost:,} of the deletions in {where}."


def _rows(on_batch: Callable[[int], None]) -> Iterator[tuple[Any, ...]]:
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_SQL, [last, BATCH])
            rows = cursor.fetchall()
        if not rows:
            return
        yield from rows
        last = rows[-1][0]
        on_batch(len(rows))
