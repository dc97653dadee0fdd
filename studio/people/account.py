"""The page of one's own account: password, second factors, and signing out everywhere."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render

from studio import vault
from studio.models import Grant
from studio.people import guard, sessions, sign_in
from studio.people import own_sessions as ending
from studio.people import service as people
from studio.web import AppRequest, get_only, post_only, see_other


@get_only
def account(request: AppRequest) -> HttpResponse:
    user = request.user
    factors = list(Authenticator.objects.filter(user=user).order_by("created_at"))
    codes = next((one for one in factors if one.type == Authenticator.Type.RECOVERY_CODES), None)
    ctx = {
        "grants": Grant.objects.filter(user=user).select_related("agent").order_by("role", "agent__name"),
        "app": next((one for one in factors if one.type == Authenticator.Type.TOTP), None),
        "passkeys": [one for one in factors if one.type == Authenticator.Type.WEBAUTHN],
        "codes_left": _codes_left(codes),
        "lost": not all(map(_is_readable, factors)),
        "idle_hours": f"{settings.SESSION_COOKIE_AGE / 3600:.4g}",
        "most_days": f"{settings.SESSION_ABSOLUTE_AGE / 86_400:.4g}",
    }
    return render(request, "account/account.html", ctx)


def _is_readable(factor: Authenticator) -> bool:
    """Tell whether the secret of a factor can be read with the keys that the studio has."""
    tokens = [factor.data[key] for key in ("secret", "seed") if key in factor.data]
    return all(vault.decrypt(token) for token in tokens)


def _codes_left(codes: Authenticator | None) -> int | None:
    return len(codes.wrap().get_unused_codes()) if codes and _is_readable(codes) else None


@get_only
def own_sessions(request: AppRequest) -> HttpResponse:
    """List the browsers where this person is signed in."""
    here = request.session.session_key
    ctx = {"sessions": [(one, one.session_key == here) for one in sessions.of_person(request.user)]}
    return render(request, "account/sessions.html", ctx)


@post_only
def session_end(request: AppRequest) -> HttpResponseBase:
    """End one session of this person's; the one here by signing out."""
    if ending.end(guard.actor_of(request), request.user, request.POST.get("session", "")):
        messages.success(request, "That session has ended.")
    else:
        messages.info(request, "That session had ended already.")
    return see_other("sessions")


@post_only
def sessions_end_others(request: AppRequest) -> HttpResponseBase:
    """End every session of this person but this one."""
    ending.end_others(guard.actor_of(request), request.user, request.session.session_key or "")
    # this one goes on, under a new key
    update_session_auth_hash(request, request.user)
    messages.success(request, "You are signed out on every other browser.")
    return see_other("sessions")


@get_only
@login_not_required
def still_allowed(request: AppRequest, mark: str) -> HttpResponse:
    """Answer 204 if the person of a page that the browser has kept is signed in and may do the same, else 401."""
    user = request.user
    return HttpResponse(status=204 if user.is_authenticated and user.mark == mark else 401)


@post_only
def sign_out_everywhere(request: AppRequest) -> HttpResponseBase:
    """End every session of this person, including this one."""
    people.sign_out_everywhere(guard.actor_of(request), request.user)
    logout(request)
    messages.success(request, "You are signed out on every browser.")
    return sign_in.forget_pages(see_other("account_login"))
