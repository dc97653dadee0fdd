"""Second factors of one's own account: allauth's views, with a confirmation first and an audit event."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from allauth.mfa.base.views import authenticate
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import generate_recovery_codes, view_recovery_codes
from allauth.mfa.totp.views import activate_totp, deactivate_totp
from allauth.mfa.webauthn.views import add_webauthn, edit_webauthn, remove_webauthn
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django_htmx.http import HttpResponseClientRedirect

from studio.audit.record import prove, record
from studio.models import User
from studio.people import confirm, guard, second_factor
from studio.people.changing import lock
from studio.people.own_sessions import drop_others
from studio.web import AppRequest, get_only, get_or_post, name_of, see_other

View = Callable[..., HttpResponseBase]
# what is answered to somebody who has to add a second factor first; a kept page is told that it may not be shown
_WITHOUT_FACTOR: Final = frozenset(
    {"factor-first", "mfa_activate_totp", "mfa_add_webauthn", "account_logout", "still-allowed", "icons", "health"}
)


def _changing(view: View, action: str, factor: str) -> View:
    """Wrap a view of allauth that changes a factor: confirmed first, and audited in the same transaction.

    The last one stays while the studio requires one. Other sessions end, as they may be why it is changed.
    """

    @wraps(view)
    def wrapped(request: AppRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        with transaction.atomic():
            if request.method == "POST":
                lock(user)
            before = _stored(user)
            if action == "person.factor_remove" and not second_factor.may_remove(user):
                messages.error(request, "The studio requires a second factor of you. Add another one first.")
                return see_other("account")
            response = view(request, *args, **kwargs)
            if before == _stored(user):
                return response
            actor = prove(guard.actor_of(request))
            ended = {} if action == "person.factor_rename" else _end_others(request)
            record(actor, action, object=user.email, data={"factor": factor, **ended})
        return response

    # allauth's views would take PUT as a POST
    return get_or_post(confirm.confirmed(wrapped))


def _end_others(request: AppRequest) -> dict[str, Any]:
    """End the person's other sessions; return what the audit log says of it."""
    ended = drop_others(request.user, request.session.session_key or "")
    # this one goes on, under a new key
    update_session_auth_hash(request, request.user)
    messages.success(request, "Your other browsers are signed out.")
    return {"sessions_ended": ended} if ended else {}


def _stored(user: User) -> list[Any]:
    return list(Authenticator.objects.filter(user=user).order_by("pk").values_list("pk", "data"))


app_add = _changing(activate_totp, "person.factor_add", "authenticator app")
app_remove = _changing(deactivate_totp, "person.factor_remove", "authenticator app")
passkey_add = _changing(add_webauthn, "person.factor_add", "passkey")
passkey_rename = _changing(edit_webauthn, "person.factor_rename", "passkey")
passkey_remove = _changing(remove_webauthn, "person.factor_remove", "passkey")
codes_new = _changing(generate_recovery_codes, "person.factor_codes", "recovery codes")
codes = get_only(confirm.confirmed(view_recovery_codes))
sign_in = login_not_required(get_or_post(authenticate))


@get_only
def first(request: AppRequest) -> HttpResponse:
    """Lead somebody who must have a second factor, and has none, to the pages that add one."""
    if not request.user.lacks_factor:
        return see_other("account")
    return render(request, "account/factor_first.html")


class FactorFirstMiddleware:
    """Answers nothing else to somebody who lacks a second factor that is required of them."""

    def __init__(self, get_response: Callable[[AppRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: AppRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: AppRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        match = request.resolver_match
        # the API knows no sessions
        if name_of(request) in _WITHOUT_FACTOR or (match and match.namespace == "api"):
            return None
        if not (request.user.is_authenticated and request.user.lacks_factor):
            return None
        if request.htmx:
            return HttpResponseClientRedirect(resolve_url("factor-first"))
        return see_other("factor-first")


@get_only
def index(request: AppRequest) -> HttpResponse:
    """Redirect to the account's page, which lists all factors; allauth comes here after a change."""
    return redirect("account")
