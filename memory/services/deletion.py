"""Deleting threads for good, with an audit event in the same transaction."""

import logging
import time
from dataclasses import dataclass
from typing import Final

from django.db import OperationalError, connection, transaction
from django_tenants.utils import schema_context
from psycopg import errors

from memory.index import erasure, feed, graves, removal, repair, threads
from memory.index.removal import Description, Size
from memory.index.threads import Filter
from memory.query import current_schema, long_statements
from studio.agents.winning import Struggle, winning
from studio.audit import tombstones
from studio.audit.record import Actor, record
from studio.ids import key
from studio.models import Agent
from studio.postgres.backend.patience import patient

log = logging.getLogger("studio")

# in one transaction: more would hold its locks for too long
MOST: Final = 10_000
# how long threads are counted that a deletion by a filter would not find else, in seconds
PATIENCE: Final = 3


class Busy(Exception):
    """An agent had one of the threads locked for too long. Nothing was deleted; it can be tried again."""


class TooMany(Exception):
    """There are more threads than one deletion may have."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted; `event_id` is the id of the audit event, None if nothing was left to delete."""

    threads: int
    runs: int
    messages: int
    event_id: int | None


def matching(agent: Agent, filter: Filter, *, content: bool) -> list[str]:
    """Return the ids of the agent's threads that match, at most MOST + 1; raises feed.Behind and TooLong.

    All, and all of a user, are those that Agno has, whatever the index says. Any other filter asks the index, after
    what waits is counted.
    """
    with schema_context(agent.schema_name), long_statements(), winning(agent):
        _count_what_waits()
        if filter == Filter():
            return erasure.every(MOST + 1)
        if is_whole(filter):
            return erasure.of_user(filter.user_id or "", filter.part, MOST + 1)
        return threads.matching_ids(filter, MOST + 1, content)


def chosen(agent: Agent, given: list[str]) -> list[str]:
    """Return the ids of threads that are given by their ids or keys; raises TooLong."""
    with schema_context(agent.schema_name), winning(agent):
        return threads.whole_ids(given)


def is_whole(filter: Filter) -> bool:
    """Tell whether a filter means all threads, or all of a user, so that the index is not asked."""
    return filter == Filter(filter.user_id, part=filter.part if filter.user_id is not None else "")


def unknown(agent: Agent, filter: Filter) -> int:
    """Return the number of threads of which nobody knows whether they match, as they could not be counted yet."""
    with schema_context(agent.schema_name):
        return 0 if is_whole(filter) else repair.backlog()


def _count_what_waits() -> None:
    end = time.monotonic() + PATIENCE
    repair.mark_missed()
    while True:
        try:
            feed.fold_all()
            break
        except feed.Behind:
            # who folds waits for an agent's lock, until the watchdog ends that
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    repair.mark_unindexed()
    try:
        for _ in repair.mend():
            if time.monotonic() > end:
                return
    except OperationalError:
        # a thread took too long, or somebody else counts: what is left stays in the backlog
        log.warning("%s: threads were left uncounted", current_schema(), exc_info=True)


def describe(agent: Agent, session_ids: list[str], user_id: str | None, *, content: bool) -> Description:
    """Say which threads these are and whose, so that nobody's go by mistake; without `content`, no text of theirs."""
    with schema_context(agent.schema_name), winning(agent):
        return removal.describe(session_ids, user_id, content)


def preview(agent: Agent, session_ids: list[str]) -> Size:
    """Count exactly what deleting these threads would remove."""
    with schema_context(agent.schema_name), winning(agent):
        return removal.measure(session_ids)


def delete_threads(actor: Actor, agent: Agent, session_ids: list[str], reason: str = "") -> Deleted:
    """Delete those of these threads that still exist, all or none, and audit it.

    Raises Busy, and TooMany for more than MOST.
    """
    if len(session_ids) > MOST:
        raise TooMany
    try:
        with schema_context(agent.schema_name):
            with winning(agent) as struggle, transaction.atomic():
                with connection.cursor() as cursor:
                    # 10,000 threads take longer than a page may wait
                    cursor.execute("set local statement_timeout = '60s'")
                with patient("60s"):
                    deleted = _delete(actor, agent, session_ids, reason, struggle)
            # the rest of the index; for many threads nobody needs to wait for it
            if len(session_ids) <= feed.READERS:
                feed.fold_some()
            return deleted
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable | errors.DeadlockDetected):
            raise Busy from error
        raise


def _delete(actor: Actor, agent: Agent, session_ids: list[str], reason: str, struggle: Struggle) -> Deleted:
    tombstones.ready()
    ids = removal.lock(session_ids)
    if not ids:
        return Deleted(0, 0, 0, None)
    size = removal.remove(ids)
    # last, because it takes the audit log's lock, and every other change waits for that
    event = record(
        actor,
        "threads.delete",
        agent=agent,
        # of many threads only counts, because their ids may be personal data
        object=key(ids[0]) if len(ids) == 1 else "",
        data={
            "counts": {
                "threads": size.threads,
                "runs": size.runs,
                "messages": size.messages,
                "tool_calls": size.tool_calls,
                "errors": size.errors,
                "users": size.people,
            },
            "text_bytes": size.text_bytes,
            "rows": {"agno_sessions": size.threads, "agno_runs": size.run_rows},
            **struggle.data(),
        },
        reason=reason,
    )
    tombstones.note(event, agent, graves.of(ids))
    return Deleted(size.threads, size.runs, size.messages, event.pk)
