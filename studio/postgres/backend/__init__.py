"""The database backend of django-tenants, with one round trip less for each request."""
