from django.db import Error
from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantWrapper

_PUBLIC = "public"


class DatabaseWrapper(TenantWrapper):
    def is_usable(self) -> bool:
        """Check the connection at the beginning of a request, and set its search_path to public."""
        # `set search_path` in place of Django's `select 1`: the request needs it in any case
        if self.connection is None:
            return False
        try:
            with self.wrap_database_errors, self.connection.cursor() as cursor:
                cursor.execute("set search_path = public")
        except Error:
            return False
        self.search_path_set_schemas = [_PUBLIC] if self.schema_name == _PUBLIC else None
        return True
