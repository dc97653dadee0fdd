"""Second factors of a person: which there are, and taking all of them away."""

from allauth.mfa.models import Authenticator
from django.db import transaction

from studio.models import User
from studio.services import audit
from studio.services.audit import Actor


def summary(user: User) -> list[str]:
    """Name the second factors of a person, e.g. `authenticator app`, `2 passkeys`."""
    types = list(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    passkeys = types.count(Authenticator.Type.WEBAUTHN)
    names = ["authenticator app"] if Authenticator.Type.TOTP in types else []
    return names + ([f"{passkeys} passkey{'' if passkeys == 1 else 's'}"] if passkeys else [])


def remove_all(actor: Actor, user: User) -> bool:
    """Take away a person's second factors, e.g. after they lost their phone; False when there are none."""
    with transaction.atomic():
        names = summary(user)
        if not Authenticator.objects.filter(user=user).delete()[0]:
            return False
        audit.record(actor, "person.factor_remove", object=user.email, data={"factors": names})
    return True
