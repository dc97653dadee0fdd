"""The steps of `manage.py serve`."""
