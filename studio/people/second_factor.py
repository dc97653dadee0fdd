"""Second factors of people: who must have one, which they have, and removing those that were lost."""

from allauth.mfa.models import Authenticator
from django.db import connection

from studio.audit.record import Actor, record
from studio.formats import counted
from studio.models import Policy, User
from studio.people.changing import Refused, changing, end_sessions, lock


def names(user: User) -> list[str]:
    """List the second factors of a person in words, e.g. `authenticator app`, `2 passkeys`."""
    types = _types(user)
    passkeys = types.count(Authenticator.Type.WEBAUTHN)
    apps = ["authenticator app"] if Authenticator.Type.TOTP in types else []
    return apps + ([counted(passkeys, "passkey")] if passkeys else [])


def remove(actor: Actor, user: User) -> bool:
    """Remove a person's second factors, e.g. if they lost their phone, and end their sessions.

    Returns False if there are none.
    """
    with changing(actor) as actor:
        lock(user)
        removed = names(user)
        if not Authenticator.objects.filter(user=user).delete()[0]:
            return False
        end_sessions(user)
        record(actor, "person.factor_remove", object=user.email, data={"factors": removed})
    return True


def policy() -> Policy:
    """Return what was decided about who must have one."""
    return Policy.objects.get_or_create(pk=1)[0]


def is_needed(user: User) -> bool:
    """Tell whether a person must have a second factor."""
    with connection.cursor() as cursor:
        cursor.execute("select public.studio_needs_factor(%s)", [user.pk])
        return bool(cursor.fetchone()[0])


def may_remove(user: User) -> bool:
    """Tell whether a person may do without one of their second factors; call it in the transaction of the removal."""
    lock(user)
    return len(_types(user)) > 1 or not is_needed(user)


def require(actor: Actor, user: User, who: str) -> bool:
    """Require a second factor of nobody, admins or everybody; return False if that was so.

    Raises Refused for somebody who would have to have one, and has none.
    """
    with changing(actor) as actor:
        decided = policy()
        before = decided.second_factor
        if who == before:
            return False
        if who != Policy.Who.NOBODY and not _types(user):
            raise Refused("Add a second factor to your own account first.")
        decided.second_factor = who
        decided.save(update_fields=["second_factor"])
        record(actor, "person.factor_policy", data={"changes": {"second factor required of": [before, who]}})
    return True


def _types(user: User) -> list[str]:
    # recovery codes are no factor of their own: they come with one, and are used up
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return list(Authenticator.objects.filter(user=user, type__in=kinds).values_list("type", flat=True))
