"""Ending sessions of one's own."""

from django.db import transaction
from django.db.models import F

from studio.audit.record import Actor, prove, record
from studio.models import Session, User
from studio.people import sessions
from studio.people.changing import lock


def end(actor: Actor, user: User, mark: str) -> bool:
    """End one of a person's sessions by its mark; return False if it has ended already."""
    with transaction.atomic():
        lock(user)
        actor = prove(actor)
        ended = next((one for one in sessions.of_person(user) if one.mark == mark), None)
        if ended is None:
            return False
        ended.delete()
        record(actor, "person.sign_out_one", object=user.email, data=_about(ended))
    return True


def end_others(actor: Actor, user: User, key: str) -> None:
    """End all of a person's sessions but the one with this key, which has to be given the new `session_epoch`."""
    with transaction.atomic():
        lock(user)
        actor = prove(actor)
        record(actor, "person.sign_out_others", object=user.email, data={"sessions": drop_others(user, key)})


def drop_others(user: User, key: str) -> list[dict[str, str]]:
    """End a person's other sessions, in a transaction that has locked the person; return what they were."""
    others = [_about(one) for one in sessions.of_person(user) if one.session_key != key]
    Session.objects.filter(user=user).exclude(session_key=key).delete()
    # also for sessions of which nobody knows whose they are, as they began before that was noted
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    user.refresh_from_db(fields=["session_epoch"])
    return others


def _about(session: Session) -> dict[str, str]:
    return {"browser": session.browser, "address": session.ip}
