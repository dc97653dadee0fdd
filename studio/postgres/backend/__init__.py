"""Django's connection to Postgres, as django-tenants has it, with one round trip less a request."""
