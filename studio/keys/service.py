"""API keys, `ams_<prefix>_<secret>`. The prefix finds the key; of the secret only a hash is stored."""

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

from studio.audit.record import Actor, Standing, record
from studio.models import Agent, ApiKey, User
from studio.people.access import SCOPES, Access

# downloads of transcripts are for people only
KEY_SCOPES: Final = tuple(scope for scope in SCOPES if scope != "threads:export")
# `last_used_at` is written at most once in this time, so that most requests write nothing
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
    """Make a key for all agents (None) or chosen ones; return it with its text, which is not stored.

    It is valid for `days`, or until revoked with None. Raises Invalid.
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
    # 43 of 62 characters are 256 bits
    prefix, secret = _random(_PREFIX, 8), _random(_SECRET, 43)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            prefix=prefix,
            hash=_hash(secret),
            scopes=[scope for scope in KEY_SCOPES if scope in scopes],
            all_agents=agents is None,
            created_by=actor.name[:200],
            creator_id=int(actor.id) if actor.kind == "person" else None,
            expires_at=timezone.now() + timedelta(days=days) if days else None,
        )
        key.agents.set(agents or [])
        chosen = None if agents is None else sorted(agent.pk for agent in agents)
        data = {"scopes": key.scopes, "agents": chosen, "days": days}
        record(actor, "key.create", object=label(key), data=data)
    return key, f"ams_{prefix}_{secret}"


def revoke(actor: Actor, key: ApiKey) -> bool:
    """End a key at once; return False if it was revoked before."""
    with transaction.atomic():
        # for update: what the key does at this moment is committed before, or refused
        works = ApiKey.objects.select_for_update().filter(pk=key.pk, revoked_at=None)
        if not works:
            return False
        works.update(revoked_at=timezone.now())
        record(actor, "key.revoke", object=label(key))
    return True


def authenticate(text: str) -> ApiKey | None:
    """Return the key with this text and set its `agent_ids`; None if it is unknown, revoked or expired."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    key = usable().annotate(**_AGENT_IDS).filter(prefix=found[1]).first()
    # compared even without a key, so that the response time does not tell which prefixes exist
    if not hmac.compare_digest(_hash(found[2]), key.hash if key else _hash("")) or key is None:
        return None
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    return key


def why_not(text: str) -> tuple[str, str]:
    """Return the label of a key that does not work, which holds no secret, and what is wrong with it."""
    found = _KEY.fullmatch(text)
    if found is None:
        return "", "not written like a key"
    shown, key = f"ams_{found[1]}_…", ApiKey.objects.filter(prefix=found[1]).first()
    if key is None or not hmac.compare_digest(_hash(found[2]), key.hash):
        return shown, "unknown" if key is None else "wrong secret"
    return label(key), "revoked" if key.revoked_at else "expired"


def usable() -> QuerySet[ApiKey]:
    """Return the keys that are neither revoked nor expired."""
    return ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def made_by(user: User) -> QuerySet[ApiKey]:
    """Return the usable keys that a person made."""
    return usable().filter(creator=user)


def list_keys() -> tuple[list[ApiKey], list[ApiKey]]:
    """Return the usable keys and the newest expired or revoked ones, each with its `agent_names`."""
    names = ArrayAgg("agents__name", filter=Q(agents__isnull=False), default=[], order_by="agents__name")
    rows = ApiKey.objects.annotate(agent_names=names)
    works = usable().values("pk")
    return list(rows.filter(pk__in=works)), list(rows.exclude(pk__in=works)[:SHOWN_EXPIRED])


def scopes_of(key: ApiKey) -> frozenset[str]:
    """Return the scopes of a key on the agents that it reaches; `admin` includes all others, as for people."""
    return frozenset(KEY_SCOPES if "admin" in key.scopes else key.scopes)


def access_of(key: ApiKey) -> Access:
    """Return what an authenticated key may do, and on which agents."""
    scopes = scopes_of(key)
    if key.all_agents:
        return Access(scopes, {})
    return Access(frozenset(), dict.fromkeys(key.agent_ids, scopes))


def actor_of(key: ApiKey, ip: str = "", request_id: str = "") -> Actor:
    """Return the key as the audit log's actor."""
    # with the word "key", so that a key with a person's name cannot be taken for that person
    return Actor("key", key.prefix, f"key “{key.name}”", ip, request_id, Standing())


def seconds_to_wait(key: ApiKey, per_minute: int) -> int:
    """Count one request of a key; return 0, or the seconds until it may send the next one."""
    # In the database, because the limit holds for all processes together: one row for each key, in an
    # unlogged table, so that a request waits for no disk.
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


def label(key: ApiKey) -> str:
    """Return what the log calls a key."""
    return f"{key.name} (ams_{key.prefix}_…)"


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _hash(secret: str) -> str:
    # a fast hash is enough for 256 random bits: there is no dictionary to try
    return hashlib.sha256(secret.encode()).hexdigest()
