"""Writing the audit log. An event is written in the transaction of its change: both commit or neither does."""

import json
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError, OperationalError, connection, transaction
from psycopg import errors

from studio.audit import head
from studio.models import Agent, AuditEvent, User

# every action that can be logged, with its words on the audit page
ACTIONS: Final = {
    "agent.create": "created the agent",
    "agent.edit": "edited the agent",
    "agent.remove": "removed the agent",
    "settings.save": "changed memory settings",
    "settings.restore": "restored memory settings",
    "threads.delete": "deleted threads",
    "threads.search": "searched threads",
    "thread.read": "read a transcript",
    "thread.export": "downloaded a transcript",
    "person.sign_in": "signed in",
    "person.sign_out": "signed out",
    "person.password": "set their password",
    "person.invite": "invited a person",
    "person.role_add": "gave a role",
    "person.role_remove": "took a role away",
    "person.deactivate": "deactivated a person",
    "person.reactivate": "reactivated a person",
    "person.sign_out_everywhere": "ended all sessions",
    "person.factor_add": "added a second factor",
    "person.factor_remove": "removed a second factor",
    "person.factor_rename": "renamed a passkey",
    "person.factor_codes": "made recovery codes",
    "audit.export": "downloaded the audit log",
    "link.create": "made a sign-in link",
    "key.create": "made an API key",
    "key.revoke": "revoked an API key",
    "database.reveal": "got the database connection",
    "database.rotate": "changed the database password",
}


_TEXTS: Final = (
    *("actor_kind", "actor_id", "actor", "ip", "request_id"),
    *("agent_id", "action", "object", "reason"),
)
# The schema is named, because the search_path may be an agent's, and a table of that name there must not get the row.
_INSERT: Final = """
    insert into public.studio_auditevent (
        actor_kind, actor_id, actor, ip, request_id, agent_id, action, object, reason, data,
        at, prev_hash, hash)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, now(), '', '')
    returning id, at, prev_hash, hash
"""


# errors of texts that Postgres cannot store, such as NUL
_NO_TEXT: Final = (errors.CharacterNotInRepertoire, errors.UntranslatableCharacter, errors.InvalidTextRepresentation)


class NotWritten(OperationalError):
    """The event could not be written, so its change must not happen. The answer is 503."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever does something: a person, an API key, or the studio itself."""

    kind: str
    id: str
    name: str
    ip: str = ""
    request_id: str = ""

    @classmethod
    def system(cls) -> "Actor":
        return cls("system", "", "Agent Studio")

    @classmethod
    def person(cls, user: User, ip: str = "", request_id: str = "") -> "Actor":
        return cls("person", str(user.pk), str(user), ip, request_id)


def record(
    actor: Actor,
    action: str,
    *,
    agent: Agent | None = None,
    object: str = "",
    data: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Append an event and return it with its id; call it in the transaction of the change. Raises NotWritten."""
    if action not in ACTIONS:
        raise ValueError(f"unknown audit action {action!r}")
    # A trigger sets id, time and hashes: whoever inserts a row cannot choose its place in the chain.
    event = AuditEvent(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor=actor.name[:200],
        ip=actor.ip[:64],
        request_id=actor.request_id[:64],
        agent_id=agent.pk if agent else "",
        action=action,
        object=object,
        data=data or {},
        reason=reason,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, [*(getattr(event, name) for name in _TEXTS), json.dumps(event.data)])
            event.pk, event.at, event.prev_hash, event.hash = cursor.fetchone()
    except DatabaseError as error:
        if isinstance(error.__cause__, _NO_TEXT) or "NUL" in str(error):
            raise  # the text is at fault and not the log: the answer is 400
        raise NotWritten("the audit log cannot be written") from error
    # robust, because an error here must not make a committed change look like a failed one
    transaction.on_commit(lambda: head.keep(event), robust=True)
    return event
