"""Confirmation of one's identity, before changes that cannot be undone or that give somebody power.

A view calls `require(request)`. If the person last gave a password or a factor more than 15 minutes ago,
the answer is a page that asks for one. The page holds the form that was sent, and sends it again. Whoever has neither
sets a password there; `passwords` says when that takes a fresh link.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, cast

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import begin_authentication
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.hashers import check_password
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_variables
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget

from studio import errors, vault
from studio.audit.refusals import refused
from studio.models import User
from studio.people import guard, limits, mail
from studio.people.factor_forms import ConfirmCodeForm, ConfirmPasskeyForm
from studio.people.links import link_by_mail
from studio.people.passwords import came_by_link, set_password, use_link
from studio.people.sessions import SessionStore
from studio.web import AppRequest, see_other

GOOD_FOR: Final = 15 * 60
# the field of the confirmation page that marks its answer; it holds the method of the first request
ASKED: Final = "confirm-method"
_OURS: Final = "confirm-"
# the attribute of a request that confirmed
_CONFIRMED: Final = "has_confirmed"
# the fields of the first password of somebody who has none
_FIRST_PASSWORD: Final = ("confirm-new-password", "confirm-new-password-again")

_TOO_MANY: Final = "Too many tries. Wait a few minutes, then try again."

View = Callable[..., HttpResponseBase]


class ConfirmFirst(Exception):
    """The person has to prove again who they are."""


def is_fresh(request: AppRequest) -> bool:
    """Tell whether the person signed in, or confirmed, within the last 15 minutes."""
    records = get_authentication_records(request, request.user)
    # from 0, because a clock that was set back must not make an old proof fresh again
    return any(0 <= time.time() - record["at"] < GOOD_FOR for record in records)


def require(request: AppRequest) -> None:
    """Return if the person signed in or confirmed lately; else raise ConfirmFirst, answered by the page that asks."""
    if not is_fresh(request):
        raise ConfirmFirst


def confirmed(view: View) -> View:
    """Call `require` before a view."""

    @wraps(view)
    def wrapped(request: AppRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        require(request)
        return view(request, *args, **kwargs)

    return wrapped


class ConfirmMiddleware:
    """Answers ConfirmFirst with the page that asks, and checks its answer before the view gets the form again."""

    def __init__(self, get_response: Callable[[AppRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: AppRequest) -> HttpResponseBase:
        response = self.get_response(request)
        # last, as the view acts by the session that asked; and not with a 5xx, whose cookies are not sent
        if getattr(request, _CONFIRMED, False) and response.status_code < 500:
            cast(SessionStore, request.session).renew()
        return response

    def process_view(self, request: AppRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        # the API is exempt from CSRF checks; it has keys and asks nobody to confirm
        if request.method != "POST" or getattr(view, "csrf_exempt", False) or ASKED not in request.POST:
            return None
        if not request.user.is_authenticated:
            return None
        if "confirm-mail" in request.POST and mail.is_on():
            return _mail_link(request)
        try:
            wrong = _check(request, request.user)
        except vault.Unreadable as error:
            return errors.unreadable(request, error)
        if wrong:
            return _ask(request, request.POST[ASKED], wrong)
        setattr(request, _CONFIRMED, True)
        return see_other(request.get_full_path()) if request.POST[ASKED] == "get" else None

    def process_exception(self, request: AppRequest, error: Exception) -> HttpResponseBase | None:
        if isinstance(error, vault.Unreadable):
            return errors.unreadable(request, error)
        return _ask(request, "post" if request.method == "POST" else "get") if isinstance(error, ConfirmFirst) else None


@sensitive_variables("password")
def _check(request: AppRequest, user: User) -> str:
    """Check the password, code or passkey of the form; return what is wrong, "" when it is right."""
    typed = any(request.POST.get(name) for name in _FIRST_PASSWORD)
    # signed in again in another tab meanwhile
    if is_fresh(request) and not typed:
        return ""
    if _FIRST_PASSWORD[0] in request.POST and not user.has_usable_password():
        return _set_password(request, user)
    if credential := request.POST.get("confirm-credential"):
        form = ConfirmPasskeyForm({"credential": credential}, user=user)
        return _take(form, "The passkey was not accepted. Try again.")
    if code := request.POST.get("confirm-code", "").strip():
        return _take(ConfirmCodeForm({"code": code}, user=user), "That code is not right, or it was used. Try again.")
    if not limits.may_try(request, limits.CONFIRMATION, user.email):
        return _refuse(request, "password", "too many tries", _TOO_MANY)
    password = request.POST.get("confirm-password", "")
    # not user.check_password, which may store the hash anew and so end the session
    if not user.has_usable_password() or not check_password(password, user.password):
        return _refuse(request, "password", "wrong", "That is not right. Try again.")
    limits.was_right(request, limits.CONFIRMATION, user.email)
    record_authentication(request, user, method="password", reauthenticated=True)
    return ""


@sensitive_variables("password", "again")
def _set_password(request: AppRequest, user: User) -> str:
    """Set the first password of a person; return what is wrong, "" when it is set."""
    password, again = (request.POST.get(name, "") for name in _FIRST_PASSWORD)
    if not password:
        return "Type a new password, twice."
    form = SetPasswordForm(user, {"new_password1": password, "new_password2": again})
    # before the link, which a password that is too short must not use up
    if not form.is_valid():
        return " ".join(str(one) for wrong in form.errors.values() for one in wrong)
    link = request.POST.get("confirm-link", "")
    if not (came_by_link(request) or is_fresh(request) or use_link(request, link)):
        return _refuse(request, "link", "wrong", "That link is not yours, was used, or has expired. Get a fresh one.")
    set_password(request, form)
    record_authentication(request, user, method="password", reauthenticated=True)
    return ""


def _mail_link(request: AppRequest) -> HttpResponse:
    """Mail the person a fresh link, and show the page again with all that it holds."""
    email = request.user.email
    if not limits.may_try(request, limits.MAIL, email):
        return _ask(request, request.POST[ASKED], _refuse(request, "link", "too many tries", _TOO_MANY))
    mail.send_link(*link_by_mail(email))
    return _ask(request, request.POST[ASKED], mailed=True)


def _take(form: Any, wrong: str) -> str:
    if not form.is_valid():
        is_limited = any(form.has_error(name, "too_many_login_attempts") for name in form.errors)
        return _TOO_MANY if is_limited else wrong
    form.save()
    return ""


def _refuse(request: AppRequest, how: str, why: str, words: str) -> str:
    refused(guard.actor_of(request), "refusal.confirm", object=request.user.email, how=how, why=why)
    return words


def _ask(request: AppRequest, method: str, wrong: str = "", *, mailed: bool = False) -> HttpResponse:
    """Render the page that asks; a request of htmx gets a form that opens this page with all its fields."""
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
        "needs_link": not came_by_link(request),
        "by_mail": mail.is_on(),
        "mailed": mailed,
        "link": request.POST.get("confirm-link", ""),
        "back": _back(request),
        "passkey": None,
    }
    if Authenticator.Type.WEBAUTHN in factors:
        ctx["passkey"] = {"request_options": begin_authentication(user)}
    response = render(request, "account/confirm.html", ctx, status=422 if wrong else 200)
    response["Cache-Control"] = "no-store"
    return response


def _back(request: AppRequest) -> str:
    """Return the page that the person came from, for the link that cancels; the list of agents if it is not ours."""
    page = request.META.get("HTTP_REFERER", "")
    if url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure()):
        return str(page)
    return resolve_url("agents")
