"""What an OpenID Connect provider says of a person, each claim that decides compared by type and value.

`"false"` is true, and so are `1` and `["x"]`: a claim counts only if it is exactly what the standard names. What is
missing is refused.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

import jwt
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

Claims = Mapping[str, Any]

# as long as allauth's column; the standard's 255 are used by nobody
_LONGEST_ID: Final = 191
_LONGEST_EMAIL: Final = 254
# seconds; no time of today is so late, infinity and what is no number included
_LAST: Final = 1e12
# clocks differ by so many seconds; the end of a token is not put off
_AHEAD: Final = 60


class Refused(OAuth2Error):
    """The provider's answer lets nobody in; the message says why."""


def read_id_token(token: Any) -> Claims:
    """Return the claims of an ID token. It came from the provider itself, so its signature adds nothing."""
    if not isinstance(token, str):
        raise Refused("it sent no ID token")
    try:
        header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, RecursionError) as error:
        raise Refused("its ID token cannot be read") from error
    if str(header.get("alg", "none")).lower() == "none":
        raise Refused("its ID token is not signed")
    return claims


def check_id_token(claims: Claims, *, issuer: str, client_id: str, nonce: str) -> str:
    """Return the provider's id of the person; raise Refused for a token that is not for this sign-in."""
    now = datetime.now(UTC).timestamp()
    if not _is(claims.get("iss"), issuer):
        raise Refused("its ID token is of another issuer")
    if not _is_for(client_id, claims):
        raise Refused("its ID token is for another audience")
    if not nonce or not _is(claims.get("nonce"), nonce):
        raise Refused("its ID token is not for this sign-in")
    if not (_is_time(claims.get("exp")) and claims["exp"] > now):
        raise Refused("its ID token has expired")
    if not all(_is_time(claims[name]) and claims[name] <= now + _AHEAD for name in ("iat", "nbf") if name in claims):
        raise Refused("its ID token is not valid yet")
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= _LONGEST_ID or not sub.isprintable():
        raise Refused("it gave no id of the person")
    return sub


def verified_email(*said: Claims) -> tuple[str, bool]:
    """Return the email of a person, "" if there is none, and whether the provider has verified it.

    All that it said must agree: an email and its mark in one place, and nothing else in another.
    """
    emails = {_email(claims["email"]) for claims in said if "email" in claims}
    marks = [claims["email_verified"] for claims in said if "email_verified" in claims]
    together = any("email" in claims and "email_verified" in claims for claims in said)
    email = emails.pop() if len(emails) == 1 else ""
    return email, bool(email and together and all(mark is True or _is(mark, "true") for mark in marks))


def asked_at(claims: Claims) -> float:
    """Return when the provider last asked the person for a proof; 0, long ago, if it does not say."""
    at, now = claims.get("auth_time"), datetime.now(UTC).timestamp()
    return float(min(at, now)) if _is_time(at) and at <= now + _AHEAD else 0.0


def _is(value: Any, wanted: str) -> bool:
    return isinstance(value, str) and value == wanted


def _is_for(client_id: str, claims: Claims) -> bool:
    found = claims.get("aud")
    audience = [found] if isinstance(found, str) else found
    if not isinstance(audience, list) or not all(isinstance(one, str) for one in audience):
        return False
    # a token for several has to name the one that asked for it
    party = claims.get("azp") if "azp" in claims or len(audience) > 1 else client_id
    return client_id in audience and _is(party, client_id)


def _is_time(value: Any) -> TypeGuard[float]:
    # compared and not asked for, as whole numbers may be longer than any float
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LAST


def _email(value: Any) -> str:
    """Return an email in the letters that people here are known by; "" for what is not one whole address."""
    if not isinstance(value, str) or len(value) > _LONGEST_EMAIL:
        return ""
    email = value.lower()
    try:
        validate_email(email)
    except ValidationError:
        return ""
    # of ASCII alone: the Kelvin sign in lower case is k, and would make another mailbox of it
    return email if value.isascii() or value == email else ""
