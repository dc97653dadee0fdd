"""Sessions in the database that end after a time without use, and in any case some days after signing in."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import transaction
from django.utils.crypto import constant_time_compare
from psycopg import sql

from studio import rows
from studio.models import Session, User
from studio.people.person import COLUMNS, person_of
from studio.postgres.backend.base import public_cursor

BEGAN: Final = "began_at"
_FROM: Final = "from"
# SQL, because the ORM takes several times longer to compose it than Postgres to run it, on every page
_SESSION: Final = (
    sql.SQL("""
    select {session}, {person}
    from public.django_session s left join public.studio_user p on p.id = %(owner)s and p.is_active
    where s.session_key = %(key)s and s.expire_date > %(now)s""")
    .format(session=rows.columns(Session, "s"), person=COLUMNS)
    .as_string(None)
)
# The person whom a session had last. A session says whose it is only once it is read and its signature checked, so
# this is a guess: it saves a round trip, and `signed_in` compares it with the session.
_owners: Final[dict[str, int]] = {}
_MOST_OWNERS: Final = 10_000
# a part of the idle time: the end is put off only after so much use, so that most page views write nothing
THROTTLE: Final = 24
# or after so much time, for the page that says when a session was last used
USED_EVERY: Final = timedelta(minutes=10)


class SessionStore(DatabaseStore):
    """A session whose row expires at its idle or its absolute end, whichever is first; the cookie at the absolute one.

    The idle time is SESSION_COOKIE_AGE; the absolute time begins with signing in and is SESSION_ABSOLUTE_AGE.
    """

    row_ends_at: datetime | None = None
    row_used_at: datetime | None = None
    # read together with the session
    _owner: User | None = None

    def signed_in(self) -> User | None:
        """Return the person who is signed in, if they were read with the session; None leaves it open who it is."""
        data, owner = self._data(), self._owner
        if owner is None or str(owner.pk) != data.get(SESSION_KEY):
            _guess(self.session_key, data.get(SESSION_KEY))
            return None
        is_theirs = constant_time_compare(data.get(HASH_SESSION_KEY, ""), owner.get_session_auth_hash())
        return owner if is_theirs and data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS else None

    def begin(self, ip: str, user_agent: str) -> None:
        """Start the absolute time, as signing in does, and remember from where."""
        self[BEGAN] = int(time.time())
        self[_FROM] = [ip[:64], user_agent.replace("\x00", "")[:300]]

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """Make the row of a session; what the page of sessions shows is beside its data."""
        row = cast(Session, super().create_model_instance(data))
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.began_at = datetime.fromtimestamp(data.get(BEGAN, int(time.time())), UTC)
        row.used_at = datetime.now(UTC)
        row.ip, row.user_agent = data.get(_FROM, ["", ""])
        return row

    def keep(self) -> None:
        """Put the idle end off, if enough of the idle time has passed, and note that it was used."""
        now, ends_at = datetime.now(UTC), self.get_expiry_date()
        is_late = self.row_ends_at is not None and ends_at - self.row_ends_at > _idle() / THROTTLE
        if is_late or (self.row_ends_at and (self.row_used_at is None or now - self.row_used_at > USED_EVERY)):
            # not `save`, which would write back the data and undo what another request changed meanwhile
            Session.objects.filter(session_key=self.session_key).update(
                expire_date=ends_at, used_at=now, user_id=self._data().get(SESSION_KEY)
            )

    def lock(self) -> bool:
        """Let what this session does at this moment be done, and nothing else until this transaction ends.

        Returns False if it was ended meanwhile.
        """
        return bool(Session.objects.select_for_update().filter(session_key=self.session_key).values("pk"))

    def renew(self) -> None:
        """Go on under a new key, so that one known before is worth nothing; not if the session was ended meanwhile."""
        with transaction.atomic():
            if self.session_key and self.lock():
                self.cycle_key()
                self.save()

    def load(self) -> dict[str, Any]:
        data: dict[str, Any] = super().load()
        if data and _end(data) <= datetime.now(UTC):
            # the absolute time was made shorter after the row was written
            self._session_key = None
            return {}
        return data

    def save(self, must_create: bool = False) -> None:
        self._data(no_load=must_create).setdefault(BEGAN, int(time.time()))
        super().save(must_create)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Return the seconds until the absolute end, for the cookie."""
        return max(int((_end(self._data()) - datetime.now(UTC)).total_seconds()), 0)

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return the time at which the row expires."""
        return min(datetime.now(UTC) + _idle(), _end(self._data()))

    def _data(self, no_load: bool = False) -> dict[str, Any]:
        data: dict[str, Any] = cast(Any, self)._get_session(no_load)
        return data

    def _get_session_from_db(self) -> Session | None:
        row, self._owner = _read(self.session_key) if self.session_key else (None, None)
        if row is None:
            self._session_key = None
        self.row_ends_at = row.expire_date if row else None
        self.row_used_at = row.used_at if row else None
        return row


def of_person(user: User) -> list[Session]:
    """Return the sessions in which a person is signed in, the last used first."""
    found = Session.objects.filter(user=user, expire_date__gt=datetime.now(UTC))
    return list(found.order_by("-used_at", "-began_at", "pk"))


def _read(key: str) -> tuple[Session | None, User | None]:
    """Read a session that has not expired, and its owner."""
    with public_cursor() as cursor:
        cursor.execute(_SESSION, {"key": key, "now": datetime.now(UTC), "owner": _owners.get(key)})
        row = cursor.fetchone()
    if row is None:
        return None, None
    size = rows.width(Session)
    return rows.made(Session, row[:size]), person_of(row[size:])


def _guess(key: str | None, owner: str | None) -> None:
    if key and owner:
        if len(_owners) >= _MOST_OWNERS:
            _owners.clear()
        _owners[key] = int(owner)


def _idle() -> timedelta:
    return timedelta(seconds=settings.SESSION_COOKIE_AGE)


def _end(data: dict[str, Any]) -> datetime:
    began = data.get(BEGAN, int(time.time()))
    return datetime.fromtimestamp(began, UTC) + timedelta(seconds=settings.SESSION_ABSOLUTE_AGE)
