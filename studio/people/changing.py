"""One change of people at a time, made by somebody who still may; one admin always remains."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from studio.audit.record import Actor, prove
from studio.models import Grant, Session, SignInLink, User


class Refused(Exception):
    """The change cannot be made; the message says why."""


@contextmanager
def changing(actor: Actor) -> Iterator[Actor]:
    """Let one change of people run at a time, and yield the actor, who is asked again before it.

    Undoes the change with Refused if no admin for all agents remains.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Two admins must not remove each other at the same moment. The lock is a row, because any
            # agent's role could hold an advisory lock.
            cursor.execute("select 1 from public.studio_turn where name = 'people' for update")
        yield prove(actor)
        if not User.objects.filter(is_active=True, grants__role=Grant.Role.ADMIN, grants__agent=None).exists():
            raise Refused("This is the last admin. Make somebody else an admin first.")


def lock(user: User) -> None:
    """Wait until what a person does at this moment is committed, and let nothing follow until this transaction ends."""
    User.objects.select_for_update().get(pk=user.pk)


def end_sessions(user: User) -> None:
    # counted in the database, so that two changes at once both count
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    Session.objects.filter(user=user).delete()
    SignInLink.objects.filter(user=user, used_at=None).update(used_at=timezone.now())
