"""Sessions: kept in the database; they end after a while without use, and after a week in any case."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db import connection

BEGAN: Final = "began_at"
# as SQL: the ORM takes several times longer to write it than Postgres to answer it, on every page
_SESSION: Final = """
    select session_key, session_data, expire_date from django_session where session_key = %s and expire_date > %s"""
# how much of the idle time passes before its end is put off again: a page view costs no write
THROTTLE: Final = 24


class SessionStore(DatabaseStore):
    """The row's expiry is the idle end or the absolute one, whichever comes first; the cookie has the absolute."""

    row_ends_at: datetime | None = None

    def begin(self) -> None:
        """Start the absolute time, as signing in does."""
        self[BEGAN] = int(time.time())

    def keep(self) -> None:
        """Put the idle end off, where enough of it has passed; changes nothing else of the row."""
        ends_at = self.get_expiry_date()
        if self.row_ends_at and ends_at - self.row_ends_at > _idle() / THROTTLE:
            Session.objects.filter(session_key=self.session_key).update(expire_date=ends_at)

    def load(self) -> dict[str, Any]:
        data: dict[str, Any] = super().load()
        if data and _end(data) <= datetime.now(UTC):
            # the times were made shorter since the row was written
            self._session_key = None
            return {}
        return data

    def save(self, must_create: bool = False) -> None:
        self._data(no_load=must_create).setdefault(BEGAN, int(time.time()))
        super().save(must_create)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Seconds for the cookie."""
        return max(int((_end(self._data()) - datetime.now(UTC)).total_seconds()), 0)

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """When the row expires."""
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
