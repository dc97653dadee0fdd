"""One-time sign-in links, valid once and for one hour, or a week for an invitation. Only a hash is stored."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from studio.audit.record import Actor, record
from studio.models import Grant, SignInLink, User

VALID_FOR = timedelta(hours=1)
INVITED_FOR = timedelta(days=7)
FIRST_ADMIN = "admin@studio.local"


def new_link(email: str = "") -> str:
    """Make a link for a person and return its path, `/sign-in/once/<token>/`.

    Without an email it is for the first admin, who is made if there is none. Raises User.DoesNotExist for
    an unknown or deactivated person.
    """
    with transaction.atomic():
        user = User.objects.get(email=email.lower(), is_active=True) if email else _first_admin()
        return link_alone_for(Actor.system(), user)


def link_alone_for(actor: Actor, user: User) -> str:
    """Make a link in place of those that the person has not used, inside the caller's transaction.

    An invitation stays, because it leads to where a password is set. Links by mail go, but end no others: anybody who
    knows an email can ask for one.
    """
    # of two at the same moment, the second one ends the first one's link
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    SignInLink.objects.filter(user=user, used_at=None, is_invitation=False).update(expires_at=timezone.now())
    return link_for(actor, user)


def link_for(actor: Actor, user: User, valid_for: timedelta = VALID_FOR, *, is_invitation: bool = False) -> str:
    """Make a link for a person, inside the caller's transaction, and return its path.

    Raises User.DoesNotExist for somebody who is deactivated.
    """
    # locked, so that whoever deactivates the person ends this link too
    User.objects.select_for_update(no_key=True).get(pk=user.pk, is_active=True)
    token = secrets.token_urlsafe(32)
    SignInLink.objects.create(
        token_hash=_hash(token), user=user, expires_at=timezone.now() + valid_for, is_invitation=is_invitation
    )
    record(actor, "link.create", object=user.email)
    return f"/sign-in/once/{token}/"


def link_by_mail(email: str) -> tuple[User, str]:
    """Make a link for the person with this email; raise User.DoesNotExist if nobody active has it."""
    with transaction.atomic():
        user = User.objects.get(email=email, is_active=True)
        return user, link_for(Actor.system(), user)


def person_of(token: str) -> User | None:
    """Return the person of a link that can still be used, without using it; else None."""
    link = _usable(token).select_related("user").first()
    return link.user if link else None


def why_not(token: str) -> tuple[str, str, str]:
    """Return whose a link is that cannot be used, the word link, and what is wrong with it."""
    link = SignInLink.objects.select_related("user").filter(token_hash=_hash(token)).first()
    if link is None:
        return "", "link", "unknown"
    why = "deactivated" if not link.user.is_active else "used before" if link.used_at else "expired"
    return link.user.email, "link", why


def redeem(token: str) -> SignInLink | None:
    """Use a link up and return it with its person; None if it was used, has expired or never existed."""
    with transaction.atomic():
        # The lock asks the link's own row anew when it is had. An update that joins the person would ask it no more.
        link = _usable(token).select_related("user").select_for_update(of=("self",)).first()
        if link is None:
            return None
        link.used_at = timezone.now()
        link.save(update_fields=["used_at"])
    # Whoever is in needs no other one, such as the invitation, or an older mail. Without that lock, or two links of one
    # person, used at once, would wait for each other.
    SignInLink.objects.filter(user=link.user, used_at=None).update(expires_at=timezone.now())
    return link


def _usable(token: str) -> QuerySet[SignInLink]:
    return SignInLink.objects.filter(
        token_hash=_hash(token), used_at=None, expires_at__gt=timezone.now(), user__is_active=True
    )


def is_somebody_in_charge() -> bool:
    """Tell whether an admin can sign in without a link: by a password, or by the provider, as they did before."""
    admins = User.objects.filter(is_active=True, grants__role=Grant.Role.ADMIN, grants__agent=None)
    if admins.exclude(Q(password="") | Q(password__startswith="!")).exists():  # noqa: S106  # nosec B106
        return True
    return bool(settings.OIDC_ISSUER) and admins.filter(socialaccount__isnull=False).exists()


def _first_admin() -> User:
    admin = User.objects.filter(is_active=True, grants__role="admin", grants__agent=None).order_by("id").first()
    if admin:
        return admin
    # Django takes a hash that begins with "!" for no usable password
    user, _ = User.objects.get_or_create(email=FIRST_ADMIN, defaults={"name": "Admin", "password": "!"})
    Grant.objects.get_or_create(user=user, role=Grant.Role.ADMIN, agent=None)
    return user


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
