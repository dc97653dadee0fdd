"""Setting a password, and what proves that a person without one may.

A link is a proof for an hour, used or not: whoever has it could sign in with it as late as that. So within an hour
of using one, the session that it began is enough. Later it is not: whoever finds a browser left open would give
themselves a password, which lasts longer than the session and confirms everything. Then a fresh link is asked for.
"""

import re
import time
from typing import Any, Final

from django.contrib.auth import update_session_auth_hash
from django.db import transaction

from studio.audit.record import prove, record
from studio.models import Session
from studio.people import guard
from studio.people.adapters import LINK_USED_AT
from studio.people.changing import lock
from studio.people.links import VALID_FOR, person_of, redeem
from studio.web import AppRequest

# a link as somebody pastes it, or its token alone
_LINK: Final = re.compile(r"(?:.*/sign-in/once/)?([\w-]{20,100})/?", re.ASCII)


def came_by_link(request: AppRequest) -> bool:
    """Tell whether the session began by a one-time link within the last hour."""
    used_at: int = request.session.get(LINK_USED_AT, 0)
    return 0 <= time.time() - used_at < VALID_FOR.total_seconds()


def use_link(request: AppRequest, pasted: str) -> bool:
    """Use up a link that was pasted; False if it is not the person's own, was used or has expired."""
    found = _LINK.fullmatch(pasted.strip())
    # first whose it is, because a link that somebody else needs must not be used up
    return bool(found and person_of(found[1]) == request.user and redeem(found[1]))


def set_password(request: AppRequest, form: Any) -> None:
    """Save the password of a valid form; the person's other sessions end."""
    user = request.user
    with transaction.atomic():
        # first, because of two who wait for each other's sessions neither would go on
        lock(user)
        actor = prove(guard.actor_of(request))
        form.save(commit=False)
        # counted up, so that what other sessions do at this moment is refused; and only these two fields, so that
        # nobody is made active again who was deactivated meanwhile
        user.session_epoch += 1
        user.save(update_fields=["password", "session_epoch"])
        Session.objects.filter(user=user).exclude(session_key=request.session.session_key).delete()
        record(actor, "person.password", object=user.email)
    # a new password ends all sessions of the person: this one goes on under a new key
    update_session_auth_hash(request, user)
    request.session.pop(LINK_USED_AT, None)
