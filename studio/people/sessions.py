"""Sessions in the database that end after a time without use, and in any case some days after signing in."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db import connection

BEGAN: Final = "began_at"
# SQL, because the ORM takes several times longer to compose it than Postgres to run it, on every page
_SESSION: Final = """
    select session_key, session_data, expire_date from django_session where session_key = %s and expire_date > %s"""
# a part of the idle time: the end is put off only after so much use, so that most page views write nothing
THROTTLE: Final = 24


class SessionStore(DatabaseStore):
    """A session whose row expires at its idle or its absolute end, whichever is first; the cookie at the absolute one.

    The idle time is SESSION_COOKIE_AGE; the absolute time begins with signing in and is SESSION_ABSOLUTE_AGE.
    """

    row_ends_at: datetime | None = None

    def begin(self) -> None:
        """Start the absolute time, as signing in does."""
        self[BEGAN] = int(time.time())

    def keep(self) -> None:
        """Put the idle end off, if enough of the idle time has passed."""
        ends_at = self.get_expiry_date()
        # not `save`, which would write back the data and undo what another request changed meanwhile
        if self.row_ends_at and ends_at - self.row_ends_at > _idle() / THROTTLE:
            Session.objects.filter(session_key=self.session_key).update(expire_date=ends_at)

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
        row = _read(self.session_key) if self.session_key else None
        if row is None:
            self._session_key = None
        self.row_ends_at = row.expire_date if row else None
        return row


def _read(key: str) -> Session | None:
    """Read a session that has not expired."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSION, [key, datetime.now(UTC)])
        row = cursor.fetchone()
    return Session(*row) if row else None


def _idle() -> timedelta:
    return timedelta(seconds=settings.SESSION_COOKIE_AGE)


def _end(data: dict[str, Any]) -> datetime:
    began = data.get(BEGAN, int(time.time()))
    return datetime.fromtimestamp(began, UTC) + timedelta(seconds=settings.SESSION_ABSOLUTE_AGE)
