"""Encrypting all secrets of the database again, with the key of now."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction

from studio import vault
from studio.audit.record import Actor, record
from studio.models import DatabaseRole


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many secrets are under the key of now, how many of them since just now, and which cannot be read."""

    kept: int
    changed: int
    lost: list[str]


@dataclass(slots=True)
class _Place:
    """A field that holds encrypted texts: what it is, the texts, and how they are replaced."""

    name: str
    tokens: list[str]
    put: Callable[[list[str]], None]


def all_secrets(actor: Actor, first: Callable[[], None] = lambda: None) -> Outcome:
    """Encrypt everything again in one transaction, after `first`, which may change the key.

    Nobody encrypts meanwhile. What neither the key of now nor one before can read is left as it is.
    """
    kept = changed = 0
    lost: list[str] = []
    with transaction.atomic():
        vault.hold()
        first()
        for place in _places():
            texts = [vault.decrypt(token) for token in place.tokens]
            known = [text for text in texts if text is not None]
            if len(known) < len(texts):
                lost.append(place.name)
                continue
            kept += 1
            if not all(map(vault.is_current, place.tokens)):
                place.put([vault.encrypt(text) for text in known])
                changed += 1
        record(actor, "secret.rotate", data={"counts": {"secrets": changed}, "unreadable": len(lost)})
    return Outcome(kept, changed, lost)


def _places() -> Iterator[_Place]:
    """Find every place of the database that holds something encrypted."""
    for role in DatabaseRole.objects.select_related("agent").select_for_update(of=("self",)).order_by("agent_id"):
        yield _Place(f"the database password of {role.agent_id}", [role.password_encrypted], _of_role(role))
    kinds = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    factors = Authenticator.objects.select_related("user").select_for_update(of=("self",)).filter(type__in=kinds)
    for factor in factors.order_by("id"):
        for key in ("secret", "seed", "migrated_codes"):
            value = factor.data.get(key)
            if value:
                name = "authenticator app" if factor.type == Authenticator.Type.TOTP else "recovery codes"
                tokens = value if isinstance(value, list) else [value]
                yield _Place(f"the {name} of {factor.user.email}", tokens, _of_factor(factor, key))


def _of_role(role: DatabaseRole) -> Callable[[list[str]], None]:
    def put(tokens: list[str]) -> None:
        (role.password_encrypted,) = tokens
        role.save(update_fields=["password_encrypted"])

    return put


def _of_factor(factor: Any, key: str) -> Callable[[list[str]], None]:
    def put(tokens: list[str]) -> None:
        factor.data[key] = tokens if isinstance(factor.data[key], list) else tokens[0]
        factor.save(update_fields=["data"])

    return put
