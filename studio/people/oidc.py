"""Signing in through an OpenID Connect provider, if one is set up."""

import logging
from collections.abc import Callable

from allauth.socialaccount.providers.openid_connect import views
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from requests import RequestException

from studio.web import get_only

log = logging.getLogger("studio")

View = Callable[[HttpRequest, str], HttpResponseBase]


def _answering(view: View) -> View:
    """Answer with a page and 503 when the provider cannot be reached."""

    @get_only
    @never_cache
    @login_not_required
    def wrapped(request: HttpRequest, provider_id: str) -> HttpResponseBase:
        try:
            return view(request, provider_id)
        except RequestException as error:
            log.warning("OpenID Connect: the provider does not answer: %s", type(error).__name__)
            return render(request, "account/oidc_failed.html", {"why": "away"}, status=503)

    return wrapped


def _sign_in(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Begin to sign in; raise BadRequest for any other process of allauth."""
    # one of them would connect an account of the provider to whoever is signed in
    if "process" in request.GET:
        raise BadRequest("process")
    response: HttpResponseBase = views.login(request, provider_id)
    return response


login = _answering(_sign_in)
callback = _answering(views.callback)
