"""Writing the audit log. An event is written in the transaction of its change: both commit or neither does."""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, OperationalError, connection, transaction
from psycopg import errors

from studio.audit import head
from studio.clerk import TooSlow
from studio.models import Agent, AuditEvent, User
from studio.people.access import roles_with

# every action that can be logged, with its words on the audit page
ACTIONS: Final = {
    "agent.create": "created the agent",
    "agent.edit": "edited the agent",
    "agent.remove": "removed the agent",
    "agent.writes_refused": "refused the writes of agents, as the disk is nearly full",
    "agent.writes_allowed": "let agents write again",
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
    "person.sign_out_one": "ended one of their sessions",
    "person.sign_out_others": "ended their other sessions",
    "person.sign_out_everywhere": "ended all sessions",
    "person.factor_add": "added a second factor",
    "person.factor_policy": "changed who must have a second factor",
    "person.factor_remove": "removed a second factor",
    "person.factor_rename": "renamed a passkey",
    "person.factor_codes": "made recovery codes",
    "audit.export": "downloaded the audit log",
    "refusal.sign_in": "was not signed in",
    "refusal.confirm": "did not confirm who they are",
    "refusal.key": "was refused with an API key",
    "refusal.page": "was refused",
    "refusal.left_out": "left out what was refused too often",
    "link.create": "made a sign-in link",
    "key.create": "made an API key",
    "key.revoke": "revoked an API key",
    "secret.rotate": "encrypted all secrets again",
    "database.reveal": "got the database connection",
    "database.rotate": "changed the database password",
    "database.end_sessions": "ended sessions of the agent",
    "database.restored": "found a restored backup",
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
    select %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, now(), ''::bytea, ''::bytea
    where case when %s then public.studio_still_may(%s, %s, %s, %s, %s::jsonb) else true end
    returning id, at, prev_hash, hash
"""
_STILL_MAY: Final = """
    select case when %s then public.studio_still_may(%s, %s, %s, %s, %s::jsonb) else true end
"""


# errors of texts that Postgres cannot store, such as NUL
_NO_TEXT: Final = (errors.CharacterNotInRepertoire, errors.UntranslatableCharacter, errors.InvalidTextRepresentation)


class NotWritten(OperationalError):
    """The event could not be written, so its change must not happen. The answer is 503."""


class NoLonger(PermissionDenied):
    """Meanwhile the actor was deactivated, signed out or revoked, or lost a right, so the change must not happen."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an actor's request was let in by, to be asked again in the transaction of its change.

    `epoch` and `session` are those of a person; `needs` are the rights that were asked for, as (scope, agent id, or
    None for all agents).
    """

    epoch: int = 0
    session: str = ""
    needs: frozenset[tuple[str, str | None]] = frozenset()


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever does something: a person, an API key, or the studio itself. One without `standing` is not asked again."""

    kind: str
    id: str
    name: str
    ip: str = ""
    request_id: str = ""
    standing: Standing | None = field(default=None, compare=False)

    @classmethod
    def system(cls) -> "Actor":
        return cls("system", "", "Agent Studio")

    @classmethod
    def person(cls, user: User, ip: str = "", request_id: str = "", standing: Standing | None = None) -> "Actor":
        return cls("person", str(user.pk), str(user), ip, request_id, standing)


def prove(actor: Actor) -> Actor:
    """Return the actor as one who is not asked again in this transaction; raise NoLonger.

    Before a change of people, which may take away the actor's own rights. They hold until the transaction ends.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STILL_MAY, _asked(actor))
        if not cursor.fetchone()[0]:
            raise NoLonger
    return replace(actor, standing=None)


def _asked(actor: Actor) -> list[Any]:
    """Return the values by which a statement asks whether the actor still may."""
    standing = actor.standing or Standing()
    needs = [{"roles": roles_with(scope), "agent": agent_id} for scope, agent_id in standing.needs]
    return [
        actor.standing is not None,
        actor.kind,
        actor.id,
        standing.epoch,
        standing.session,
        json.dumps(needs),
    ]


def record(
    actor: Actor,
    action: str,
    *,
    agent: Agent | None = None,
    object: str = "",
    data: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Append an event and return it with its id; call it in the transaction of the change.

    Raises NoLonger if the actor may not do this any more, and NotWritten.
    """
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
        head.ready()
    except TooSlow as error:
        raise NotWritten(f"{head.path()} cannot be written") from error
    try:
        with connection.cursor() as cursor:
            texts = [getattr(event, name) for name in _TEXTS]
            cursor.execute(_INSERT, [*texts, json.dumps(event.data), *_asked(actor)])
            row = cursor.fetchone()
    except DatabaseError as error:
        if isinstance(error.__cause__, _NO_TEXT) or "NUL" in str(error):
            raise  # the text is at fault and not the log: the answer is 400
        raise NotWritten("the audit log cannot be written") from error
    if row is None:
        raise NoLonger
    event.pk, event.at, event.prev_hash, event.hash = row
    # robust, because an error here must not make a committed change look like a failed one
    transaction.on_commit(lambda: head.keep(event), robust=True)
    return event
