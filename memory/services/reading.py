"""Audit events for reading: one each time somebody opens a transcript or searches threads."""

from hashlib import sha256
from typing import Final

from django.core import signing
from django.db import connection

from studio.audit.record import Actor, record
from studio.models import Agent

# Seconds after which a page that asks for another part counts as opened again.
OPEN_FOR: Final = 12 * 3600
_SALT: Final = "thread.read"
_SEARCHED: Final = """
    select from public.studio_auditevent
    where agent_id = %s and actor_kind = %s and actor_id = %s and action = 'threads.search'
        and data ->> 'q' = %s and at > now() - interval '5 minutes'
    limit 1
"""


def open_logged(actor: Actor, agent: Agent, session_id: str, given: str = "", run_id: str | None = None) -> str:
    """Log that somebody opens a thread or one of its runs, and return a ticket for the other parts of its page.

    With a valid ticket in `given` nothing is logged again.
    """
    if given and is_open(actor, agent, session_id, given):
        return given
    data = {} if run_id is None else {"run_id": run_id}
    record(actor, "thread.read", agent=agent, object=session_id, data=data)
    return ticket(actor, agent, session_id)


def record_search(actor: Actor, agent: Agent, words: str) -> None:
    """Log a search for threads, unless the person searched for the same words in the last five minutes."""
    with connection.cursor() as cursor:
        cursor.execute(_SEARCHED, [agent.pk, actor.kind, actor.id, words])
        if cursor.fetchone() is None:
            record(actor, "threads.search", agent=agent, data={"q": words})


def ticket(actor: Actor, agent: Agent, session_id: str) -> str:
    """Make a signed ticket that proves that this person's opening of this thread was logged."""
    return signing.TimestampSigner(salt=_SALT).sign(_subject(actor, agent, session_id))


def is_open(actor: Actor, agent: Agent, session_id: str, given: str) -> bool:
    """Tell whether `given` is a ticket of this person for this thread that has not expired."""
    try:
        subject = signing.TimestampSigner(salt=_SALT).unsign(given, max_age=OPEN_FOR)
    except signing.BadSignature:
        return False
    return subject == _subject(actor, agent, session_id)


def _subject(actor: Actor, agent: Agent, session_id: str) -> str:
    return sha256("\0".join((actor.kind, actor.id, agent.pk, session_id)).encode()).hexdigest()[:32]
