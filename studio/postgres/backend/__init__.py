"""The database backend of django-tenants, with fewer round trips for each request."""
