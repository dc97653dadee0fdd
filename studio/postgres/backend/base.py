from django.db import Error
from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantWrapper

_PUBLIC = "public"


class DatabaseWrapper(TenantWrapper):
    def is_usable(self) -> bool:
        """Check the connection, once a request, by the statement that the request would begin with.

        It undoes what the request before had set, where `select 1` would only be one more.
        """
        if self.connection is None:
            return False
        try:
            with self.wrap_database_errors, self.connection.cursor() as cursor:
                cursor.execute("set search_path = public")
        except Error:
            return False
        self.search_path_set_schemas = [_PUBLIC] if self.schema_name == _PUBLIC else None
        return True
