from select import POLLIN, poll
from typing import Any, cast

from django.db import connections
from django.db.backends.utils import CursorWrapper
from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantWrapper
from psycopg.pq import TransactionStatus


class DatabaseWrapper(TenantWrapper):
    def is_usable(self) -> bool:
        """Tell whether a request may use the connection, without asking the server.

        A server that ended it has closed its socket, or has written the reason there. A transaction that an
        earlier request left open, or that failed, ends with the connection.
        """
        # an older server does not tell its search_path, so whatever it is, it is set again
        self.search_path_set_schemas = None
        if self.connection is None or self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        socket = poll()
        socket.register(self.connection.fileno(), POLLIN)
        return not socket.poll(0)

    def set_tenant(self, tenant: Any, include_public: bool = True) -> None:
        cast(Any, super()).set_tenant(tenant, include_public)
        self._wanted = ", ".join(self._get_cursor_search_paths()).encode()

    def _handle_search_path(self, cursor: Any = None) -> None:
        """Send the search_path, unless the server says that it has this one already."""
        told = self._told()
        if told is not None:
            self.search_path_set_schemas = self._get_cursor_search_paths() if told == self._wanted else None
        cast(Any, super())._handle_search_path(cursor)

    def _told(self) -> bytes | None:
        """Return the search_path as the server told it with its last answer; None from one before Postgres 18."""
        return cast(bytes | None, self.connection.pgconn.parameter_status(b"search_path"))

    def public_cursor(self) -> CursorWrapper:
        """Return a cursor that leaves the search_path as it is, for statements that name each table's schema."""
        return cast(CursorWrapper, super(TenantWrapper, self)._cursor())


def public_cursor() -> CursorWrapper:
    """Return a cursor of this thread's connection for statements that name the schema of each table."""
    return cast(DatabaseWrapper, connections["default"]).public_cursor()
