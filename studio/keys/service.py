"""API keys: `ams_<prefix>_<secret>`. The prefix finds the key; of the secret only a hash is kept."""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from studio.audit.record import Actor, record
from studio.models import Agent, ApiKey
from studio.people.access import SCOPES, Access

# what a key may be given; exporting is for people
KEY_SCOPES: Final = tuple(scope for scope in SCOPES if scope != "threads:export")
USED_EVERY: Final = timedelta(minutes=1)
SHOWN_EXPIRED: Final = 50

_KEY: Final = re.compile(r"ams_([a-z0-9]{8})_([A-Za-z0-9]{43})", re.ASCII)
_AGENT_IDS: Final[dict[str, Any]] = {"agent_ids": ArrayAgg("agents__pk", filter=Q(agents__isnull=False), default=[])}
_PREFIX: Final = string.ascii_lowercase + string.digits
_SECRET: Final = string.ascii_letters + string.digits


class Invalid(Exception):
    """The key cannot be made as asked; the message says why."""


def create(
    actor: Actor,
    *,
    name: str,
    scopes: Collection[str],
    agents: Collection[Agent] | None = None,
    days: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for all agents (None) or chosen ones, and return it with its text, which nobody sees again.

    It is valid for `days` or, with None, until revoked. Raises Invalid.
    """
    name = " ".join(name.split())
    if not name or len(name) > 80:
        raise Invalid("A key needs a name of 1 to 80 characters.")
    if not scopes or not set(scopes) <= set(KEY_SCOPES):
        raise Invalid(f"Choose at least one scope of: {', '.join(KEY_SCOPES)}.")
    if agents is not None and not agents:
        raise Invalid("Choose at least one agent, or all of them.")
    if days is not None and not 1 <= days <= 3650:
        raise Invalid("A key is valid for 1 to 3,650 days, or without an end.")
    prefix, secret = _random(_PREFIX, 8), _random(_SECRET, 43)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            prefix=prefix,
            hash=_hash(secret),
            scopes=[scope for scope in KEY_SCOPES if scope in scopes],
            all_agents=agents is None,
            created_by=actor.name[:200],
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        key.agents.set(agents or [])
        chosen = None if agents is None else sorted(agent.pk for agent in agents)
        data = {"scopes": key.scopes, "agents": chosen, "days": days}
        record(actor, "key.create", object=_label(key), data=data)
    return key, f"ams_{prefix}_{secret}"


def revoke(actor: Actor, key: ApiKey) -> bool:
    """End a key at once; returns False when it was revoked before."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return False
        record(actor, "key.revoke", object=_label(key))
    return True


def authenticate(text: str) -> ApiKey | None:
    """Return the key that this text is, with `agent_ids`; None when it is unknown, revoked or expired."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    key = usable().annotate(**_AGENT_IDS).filter(prefix=found[1]).first()
    # compared in any case, so that the time tells nothing about which prefixes exist
    if not hmac.compare_digest(_hash(found[2]), key.hash if key else _hash("")) or key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    return key


def usable() -> QuerySet[ApiKey]:
    """Keys that are neither revoked nor expired."""
    return ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def listed() -> tuple[list[ApiKey], list[ApiKey]]:
    """Return keys that work, and the last ones that do not any more, each with its `agent_names`."""
    names = ArrayAgg("agents__name", filter=Q(agents__isnull=False), default=[], order_by="agents__name")
    rows = ApiKey.objects.annotate(agent_names=names)
    works = usable().values("pk")
    return list(rows.filter(pk__in=works)), list(rows.exclude(pk__in=works)[:SHOWN_EXPIRED])


def scopes_of(key: ApiKey) -> frozenset[str]:
    """What the key may do where it reaches; `admin` includes all other scopes, as it does for people."""
    return frozenset(KEY_SCOPES if "admin" in key.scopes else key.scopes)


def access_of(key: ApiKey) -> Access:
    """What an authenticated key may do, and on which agents."""
    scopes = scopes_of(key)
    if key.all_agents:
        return Access(scopes, {})
    return Access(frozenset(), dict.fromkeys(key.agent_ids, scopes))


def actor_of(key: ApiKey, ip: str = "", request_id: str = "") -> Actor:
    """The key as somebody who acts. The word before the name keeps a key from passing for a person."""
    return Actor("key", key.prefix, f"key “{key.name}”", ip, request_id)


def seconds_to_wait(key: ApiKey, per_minute: int) -> int:
    """Count one request of the key; returns 0, or how long until it may go on.

    Counted in the database, so that the limit holds over all processes: one row a key, in a table
    that is not logged to disk.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into studio_keyrate as r (key_id, minute, requests)
            values (%s, floor(extract(epoch from clock_timestamp()) / 60), 1)
            on conflict (key_id) do update set minute = excluded.minute,
                requests = case r.minute when excluded.minute then r.requests + 1 else 1 end
            returning requests, ceil(60 - mod(extract(epoch from clock_timestamp()), 60))::integer
            """,
            [key.pk],
        )
        requests, left = cursor.fetchone()
    return max(left, 1) if requests > per_minute else 0


def _label(key: ApiKey) -> str:
    return f"{key.name} (ams_{key.prefix}_…)"


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _hash(secret: str) -> str:
    """Hash 256 random bits. A slow hash would add nothing: there is no dictionary to try."""
    return hashlib.sha256(secret.encode()).hexdigest()
