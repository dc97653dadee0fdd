"""Ask again who somebody is, before what cannot be undone or gives power.

A view calls `require(request)`. Where the last proof is older than 15 minutes, the answer is a page that
asks for the password or a factor, and holds the form that was sent: confirming sends it again, whole.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.core import ratelimit
from allauth.mfa.base.forms import ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm
from allauth.mfa.webauthn.internal.auth import begin_authentication
from django.contrib.auth.hashers import check_password
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_variables
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget

from studio.models import User
from studio.web import AppRequest, see_other

GOOD_FOR: Final = 15 * 60
# in a form that answers the page: the method of the request that it holds
ASKED: Final = "confirm-method"
_OURS: Final = "confirm-"

View = Callable[..., HttpResponseBase]


class ConfirmFirst(Exception):
    """The person has to prove again who they are."""


def is_fresh(request: AppRequest) -> bool:
    """Tell whether the person signed in, or confirmed, within the last 15 minutes."""
    records = get_authentication_records(request, request.user)
    return any(0 <= time.time() - record["at"] < GOOD_FOR for record in records)


def require(request: AppRequest) -> None:
    """Go on if the person proved lately who they are; else the answer is the page that asks."""
    if not is_fresh(request):
        raise ConfirmFirst


def confirmed(view: View) -> View:
    """Let a view be reached only by somebody who proved lately who they are."""

    @wraps(view)
    def wrapped(request: AppRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        require(request)
        return view(request, *args, **kwargs)

    return wrapped


class ConfirmMiddleware:
    """Shows the page, and takes its answer before the view sees the form again."""

    def __init__(self, get_response: Callable[[AppRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: AppRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: AppRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        if request.method != "POST" or getattr(view, "csrf_exempt", False) or ASKED not in request.POST:
            return None
        if not request.user.is_authenticated:
            return None
        if wrong := _check(request, request.user):
            return _ask(request, request.POST[ASKED], wrong)
        return see_other(request.get_full_path()) if request.POST[ASKED] == "get" else None

    def process_exception(self, request: AppRequest, error: Exception) -> HttpResponseBase | None:
        return _ask(request, "post" if request.method == "POST" else "get") if isinstance(error, ConfirmFirst) else None


@sensitive_variables("password")
def _check(request: AppRequest, user: User) -> str:
    """Take the proof in the form; returns what is wrong with it, or nothing."""
    if credential := request.POST.get("confirm-credential"):
        form = ReauthenticateWebAuthnForm({"credential": credential}, user=user)
        return _take(form, "The passkey was not accepted. Try again.")
    if code := request.POST.get("confirm-code", "").strip():
        return _take(
            ReauthenticateForm({"code": code}, user=user), "That code is not right, or it was used. Try again."
        )
    if not ratelimit.consume(request, action="reauthenticate", user=user):
        return "Too many tries. Wait a minute, then try again."
    password = request.POST.get("confirm-password", "")
    # not the person's own method, which may store the password anew and so end the session
    if not user.has_usable_password() or not check_password(password, user.password):
        return "That is not right. Try again."
    record_authentication(request, user, method="password", reauthenticated=True)
    return ""


def _take(form: Any, wrong: str) -> str:
    if not form.is_valid():
        return wrong
    form.save()
    return ""


def _ask(request: AppRequest, method: str, wrong: str = "") -> HttpResponse:
    """Render the page; htmx, which asked for part of one, is told to go there with all it sent."""
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        if not name.startswith(_OURS) and name != "csrfmiddlewaretoken"
        for value in values
    ]
    if request.htmx:
        if method == "get":
            return HttpResponseClientRedirect(request.get_full_path())
        response = render(request, "account/_confirm_send.html", {"fields": fields})
        return retarget(reswap(response, "beforeend"), "body")
    user = request.user
    factors = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    ctx: dict[str, Any] = {
        "wrong": wrong,
        "method": "get" if method == "get" else "post",
        "fields": fields,
        "by_password": user.has_usable_password(),
        "by_code": bool(factors & {Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES}),
        "back": _back(request),
        "passkey": None,
    }
    if Authenticator.Type.WEBAUTHN in factors:
        ctx["passkey"] = {"request_options": begin_authentication(user)}
    response = render(request, "account/confirm.html", ctx, status=422 if wrong else 200)
    response["Cache-Control"] = "no-store"
    return response


def _back(request: AppRequest) -> str:
    """Where the person came from, if that is a page of ours, for the link that cancels."""
    page = request.META.get("HTTP_REFERER", "")
    if url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure()):
        return str(page)
    return resolve_url("agents")
