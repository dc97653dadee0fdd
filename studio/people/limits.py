"""How often somebody may guess a secret of an account.

A few times from one address, so that whoever guesses keeps nobody out but themselves. Many times from all addresses
together, so that guessing from a thousand is slow too; whoever comes from an address from which the person has signed
in before is let on even then. One-time links are never limited: there is nothing to guess in 256 random bits.
"""

import logging
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from studio import tries
from studio.proxies import network_of

log = logging.getLogger("studio")

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
# of requests to sign in from one address, whosever account they name
ALL_FROM_AN_ADDRESS: Final = 30
_SIGNED_IN_FROM: Final = """
    select e.ip from public.studio_user u
    join public.studio_auditevent e on e.actor_kind = 'person' and e.actor_id = u.id::text
    where u.email = %s and e.action = 'person.sign_in'
    order by e.id desc limit 50
"""


@dataclass(frozen=True, slots=True)
class Secret:
    """What may be guessed: so often in some seconds from one address, and so often an hour from all."""

    name: str
    from_one: int
    seconds: int
    from_all: int


PASSWORD: Final = Secret("password", 5, 5 * MINUTE, 100)
# one of a million guesses is right
CODE: Final = Secret("code", 5, 5 * MINUTE, 30)
CONFIRMATION: Final = Secret("confirmation", 10, MINUTE, 100)
# nothing is guessed, but somebody gets mail
MAIL: Final = Secret("mail", 5, MINUTE, 20)


def may_try(request: HttpRequest, secret: Secret, email: str) -> bool:
    """Count a try at a secret of an account, whether there is such an account or not; return whether it is allowed."""
    here, everywhere = _keys(request, secret, email)
    if tries.count(here, secret.seconds) > secret.from_one:
        _hint(request)
        return False
    return tries.count(everywhere, HOUR) <= secret.from_all or _is_known(request, email)


def was_right(request: HttpRequest, secret: Secret, email: str) -> None:
    """Do not count the try of somebody who knew the secret."""
    tries.give_back(*_keys(request, secret, email))


def may_ask(request: HttpRequest, what: str, most: int = ALL_FROM_AN_ADDRESS) -> bool:
    """Count a request of an address, whatever it asks; return whether it is allowed in this minute."""
    is_allowed = tries.count(_key(what, _network(request)), MINUTE) <= most
    if not is_allowed:
        _hint(request)
    return is_allowed


def _is_known(request: HttpRequest, email: str) -> bool:
    """Tell whether the person has signed in from this address before."""
    with connection.cursor() as cursor:
        cursor.execute(_SIGNED_IN_FROM, [email.lower()])
        return _network(request) in {network_of(ip) for (ip,) in cursor.fetchall()}


def _keys(request: HttpRequest, secret: Secret, email: str) -> tuple[str, str]:
    account = email.lower()
    return _key(secret.name, account, _network(request)), _key(secret.name, account)


def _key(*parts: str) -> str:
    # hashed, because what was typed for an email may be a password
    return salted_hmac("studio.people.limits", "\0".join(parts), algorithm="sha256").hexdigest()


def _network(request: HttpRequest) -> str:
    return network_of(request.META.get("REMOTE_ADDR", ""))


def _hint(request: HttpRequest) -> None:
    if "X-Forwarded-For" in request.headers and settings.TRUSTED_PROXIES == 0:
        log.warning("tries are limited for a proxy as a whole: set TRUSTED_PROXIES to the number of proxies")
