"""Pages for signing in: by password, by a one-time link, and setting a password."""

from contextlib import suppress

from allauth.account import views as allauth_views
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django_htmx.http import HttpResponseClientRedirect

from studio import errors
from studio.audit import refusals
from studio.models import User
from studio.people import limits, mail
from studio.people.adapters import sign_in_by_link
from studio.people.links import link_by_mail, person_of, redeem, why_not
from studio.people.passwords import came_by_link, set_password
from studio.render import message
from studio.web import AppRequest, get_only, get_or_post, see_other


@get_or_post
@login_not_required
def sign_in(request: AppRequest) -> HttpResponseBase:
    """Show allauth's sign-in page; htmx, whose session has ended, gets a redirect of the whole page to it."""
    if request.htmx:
        back = request.htmx.current_url_abs_path or "/"
        return HttpResponseClientRedirect(f"{resolve_url('account_login')}?{urlencode({'next': back})}")
    if request.method == "POST" and not limits.may_ask(request, "sign-in"):
        refusals.sign_in_refused(request, "", "password", "too many tries from this address")
        return errors.too_many(request)
    return allauth_views.login(request)


@get_or_post
@login_not_required
def sign_out(request: AppRequest) -> HttpResponseBase:
    response: HttpResponseBase = allauth_views.logout(request)
    return response if request.user.is_authenticated else forget_pages(response)


def forget_pages(response: HttpResponseBase) -> HttpResponseBase:
    """Tell the browser to forget the pages that it has kept; browsers listen to that on HTTPS and localhost alone."""
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@get_or_post
@never_cache
@login_not_required
def once(request: AppRequest, token: str) -> HttpResponse:
    """Sign in by a one-time link: GET shows a button, POST uses the link up."""
    # a GET changes nothing, because mail scanners and browsers open links by themselves
    if request.method != "POST":
        if person := person_of(token):
            return render(request, "account/once.html", {"person": person})
        return _expired(request, token)
    with transaction.atomic():
        link = redeem(token)
        if link is None:
            return _expired(request, token)
        wanted = resolve_url("account_change_password" if link.is_invitation else "agents")
        response = sign_in_by_link(request, link.user, wanted)
    if not link.user.has_usable_password() and not link.is_invitation:
        messages.info(request, message("account/_message_no_password.html"))
    return see_other(response["Location"])


def _expired(request: AppRequest, token: str) -> HttpResponse:
    refusals.sign_in_refused(request, *why_not(token))
    return see_other("sign-in-expired") if request.method == "POST" else redirect("sign-in-expired")


@get_only
@login_not_required
def expired(request: AppRequest) -> HttpResponse:
    """Say that a link was used or has expired, at an address without the token, because logs hold addresses."""
    return render(request, "account/expired.html", status=410)


@get_or_post
@sensitive_post_parameters()
@never_cache
def password(request: AppRequest) -> HttpResponse:
    """Set a password; the old one is asked for unless the person came by a one-time link within the last hour."""
    user = request.user
    if not user.has_usable_password() and not came_by_link(request):
        return render(request, "account/password_stale.html", {"by_mail": mail.is_on()})
    form_class = SetPasswordForm if came_by_link(request) else PasswordChangeForm
    form = form_class(user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        set_password(request, form)
        messages.success(request, "Your password is set. Other browsers where you were signed in are signed out.")
        return see_other("agents")
    return render(request, "account/password.html", {"form": form}, status=422 if form.errors else 200)


@get_or_post
@login_not_required
def forgotten(request: AppRequest) -> HttpResponseBase:
    """Mail a sign-in link if mail is set up, else say that an admin can make one.

    The answer is the same whether somebody has the address or not.
    """
    if request.method == "POST" and mail.is_on():
        email = request.POST.get("email", "").replace("\x00", "").strip().lower()[:254]
        if not (limits.may_ask(request, "mail") and limits.may_try(request, limits.MAIL, email)):
            refusals.sign_in_refused(request, email, "link", "too many tries")
            return errors.too_many(request)
        with suppress(User.DoesNotExist):
            user, path = link_by_mail(email)
            mail.send_link(user, path)
        return render(request, "account/forgotten.html", {"sent": True, "by_mail": True})
    return render(request, "account/forgotten.html", {"sent": False, "by_mail": mail.is_on()})
