from typing import Any

from django.http import HttpResponseRedirect
from django.shortcuts import resolve_url


def see_other(to: str, *args: Any) -> HttpResponseRedirect:
    """Send the browser on by GET after a POST that did something."""
    return HttpResponseRedirect(resolve_url(to, *args), status=303)
