"""Who was refused, in the audit log: failed sign-ins and confirmations, keys that do not work, what nobody may see.

An attacker must not fill the log, so a minute has room for some of a kind from one address, and for some more in all.
What is left out is counted, and the count is an event. A refusal stays one if its event cannot be written.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from django.db import Error, transaction
from django.http import HttpRequest

from studio import tries
from studio.audit.record import Actor, record
from studio.models import Agent
from studio.proxies import network_of

log = logging.getLogger("studio")

MINUTE: Final = 60
# events a minute: of a kind from one address, and of all kinds from all
FROM_ONE: Final = 10
FROM_ALL: Final = 60
_KEY: Final = "refused"
_LONGEST: Final = 120


def visitor(request: HttpRequest) -> Actor:
    """Return somebody who is not signed in as the audit log's actor."""
    return Actor("visitor", "", "Somebody", request.META.get("REMOTE_ADDR", ""), getattr(request, "id", ""))


def sign_in_refused(request: HttpRequest, email: str, how: str, why: str) -> None:
    """Append that somebody who gave this email, as it was typed, was not signed in."""
    refused(visitor(request), "refusal.sign_in", object=email, how=how, why=why)


def refused(actor: Actor, action: str, *, object: str = "", agent: Agent | None = None, **data: Any) -> None:
    """Append a refusal, if there is room for it."""
    with _robust():
        if _has_room(action, network_of(actor.ip)):
            _append(actor, action, object, agent, data)


def not_seen(actor: Actor, object: str, agent_id: str) -> None:
    """Append that somebody asked for an agent that they may not see, if there is room and there is such an agent."""
    with _robust():
        agent = Agent.objects.filter(pk=agent_id).first()
        if agent is None:
            # a typo takes as long, and no room from what was refused
            tries.count(f"not there|{network_of(actor.ip)}", MINUTE)
        elif _has_room("refusal.page", network_of(actor.ip)):
            _append(actor, "refusal.page", object, agent, {"why": "not theirs to see"})


def sweep() -> None:
    """Write how many refusals were left out of the minutes that are over."""
    with transaction.atomic():
        left_out: Counter[str] = Counter()
        for key, count in tries.sweep():
            kind, *rest = key.split("|")
            if kind == _KEY:
                left_out[rest[-1]] += max(count - (FROM_ONE if rest[-1] else FROM_ALL), 0)
        if total := left_out.total():
            most = [address for address, count in left_out.most_common(5) if address and count]
            record(Actor.system(), "refusal.left_out", data={"counts": {"refusals": total}, "most_from": most})


def _append(actor: Actor, action: str, object: str, agent: Agent | None, data: dict[str, Any]) -> None:
    with transaction.atomic():
        # whoever was refused is not asked whether they still may
        record(replace(actor, standing=None), action, object=_plain(object), agent=agent, data=data)


@contextmanager
def _robust() -> Iterator[None]:
    """Log an error only, as there is nothing that it could undo."""
    try:
        yield
    except Error as error:
        log.error("a refusal is not in the audit log: %s", type(error.__cause__ or error).__name__)  # noqa: TRY400


def _has_room(action: str, network: str) -> bool:
    minute = int(time.time() / MINUTE)
    if tries.count(f"{_KEY}|{minute}|{action}|{network or '-'}", MINUTE) > FROM_ONE:
        return False
    return tries.count(f"{_KEY}|{minute}|", MINUTE) <= FROM_ALL


def _plain(text: str) -> str:
    """Return a text as the log can hold it, cut; who was refused may have typed anything."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:_LONGEST])
