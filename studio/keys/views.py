"""Pages about API keys: the list, making and revoking one. A key is shown once, in the answer that made it."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control

from studio.agents.connection import addresses
from studio.keys import service
from studio.keys.forms import KeyForm
from studio.models import ApiKey
from studio.people import confirm, guard
from studio.web import AppRequest, get_only, get_or_post, see_other


@get_only
def keys(request: AppRequest) -> HttpResponse:
    guard.require(request, "admin")
    usable, expired = service.list_keys()
    return render(request, "studio/keys.html", {"usable": usable, "expired": expired})


@cache_control(no_store=True)
@get_or_post
def key_new(request: AppRequest) -> HttpResponse:
    """Show the form; a POST shows the key in its answer, because only a hash of it is stored."""
    guard.require(request, "admin")
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        confirm.require(request)
        try:
            key, text = service.create(guard.actor_of(request), **form.values())
        except service.Invalid as error:
            form.add_error(None, str(error))
        else:
            return render(request, "studio/key_made.html", {"key": key, "text": text, **addresses()}, status=201)
    return render(request, "studio/key_new.html", {"form": form}, status=422 if form.errors else 200)


@get_or_post
def key_revoke(request: AppRequest, prefix: str) -> HttpResponse:
    """Ask, and with POST end the key at once."""
    guard.require(request, "admin")
    key = get_object_or_404(ApiKey, prefix=prefix)
    if request.method != "POST":
        return render(request, "studio/key_revoke.html", {"key": key})
    if service.revoke(guard.actor_of(request), key):
        messages.success(request, f"Revoked {key.name}. Whoever uses it is refused from now on.")
    else:
        messages.info(request, f"{key.name} was revoked before.")
    return see_other("keys")
