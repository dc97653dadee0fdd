import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from select import POLLIN, poll
from typing import Any, cast

from django.db import NotSupportedError, connections
from django.db.backends.utils import CursorWrapper
from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantWrapper
from psycopg import IsolationLevel
from psycopg.pq import TransactionStatus

from studio.postgres.backend import patience

# of the statement_timeout that a connection begins with
_BEGINS_WITH = re.compile(r"statement_timeout=(\S+)")


class DatabaseWrapper(TenantWrapper):
    _path_matters = True

    def get_new_connection(self, conn_params: dict[str, Any]) -> patience.Connection:
        """Connect; a server that says nothing for longer than it may is given up."""
        # as Django's own, which connects with psycopg's class
        self.isolation_level = IsolationLevel.READ_COMMITTED
        made = patience.connect(conn_params)
        limit = _BEGINS_WITH.search(conn_params.get("options", ""))
        made.patience = patience.seconds(limit[1]) if limit else None
        return made

    def is_usable(self) -> bool:
        """Tell whether a request may use the connection, without asking the server.

        A server that ended it has closed its socket, or has written the reason there. A transaction that an
        earlier request left open, or that failed, ends with the connection.
        """
        # an older server does not tell its search_path, so whatever it is, it is set again
        self.search_path_set_schemas = None
        # after an error, too: a statement that was prepared for a table of before fails again and again
        if self.connection is None or self.errors_occurred:
            return False
        if self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        socket = poll()
        socket.register(self.connection.fileno(), POLLIN)
        return not socket.poll(0)

    def set_tenant(self, tenant: Any, include_public: bool = True) -> None:
        cast(Any, super()).set_tenant(tenant, include_public)
        self._wanted = ", ".join(self._get_cursor_search_paths()).encode()

    def _handle_search_path(self, cursor: Any = None) -> None:
        """Send the search_path, unless the server says that it has this one already."""
        if not self._path_matters:
            return
        told = self._told()
        if told is not None:
            self.search_path_set_schemas = self._get_cursor_search_paths() if told == self._wanted else None
        cast(Any, super())._handle_search_path(cursor)

    def _told(self) -> bytes | None:
        """Return the search_path as the server told it with its last answer; None from one before Postgres 18."""
        return cast(bytes | None, self.connection.pgconn.parameter_status(b"search_path"))

    @contextmanager
    def public_cursor(self) -> Iterator[CursorWrapper]:
        """Lend a cursor that leaves the search_path as it is, for statements that name each table's schema."""
        self._path_matters = False
        try:
            with self.cursor() as cursor:
                yield cursor
        finally:
            self._path_matters = True


def is_stale(error: BaseException) -> bool:
    """Tell whether a prepared statement failed because a table has changed; on another connection it succeeds."""
    return isinstance(error, NotSupportedError) and "cached plan" in str(error)


def public_cursor() -> AbstractContextManager[CursorWrapper]:
    """Lend a cursor of this thread's connection for statements that name the schema of each table."""
    return cast(DatabaseWrapper, connections["default"]).public_cursor()
