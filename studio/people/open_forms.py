"""What somebody has typed in other tabs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest


@contextmanager
def open_forms_kept(request: HttpRequest, user: Any) -> Iterator[None]:
    """Let the forms in a person's other tabs stay valid where they sign in again, so that nothing typed is lost."""
    who = user.pk
    secret = request.META.get("CSRF_COOKIE") if who is not None and request.user.pk == who else None
    yield
    if secret and request.user.pk == who:
        request.META["CSRF_COOKIE"] = secret
