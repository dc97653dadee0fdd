"""Adapters of allauth: nobody signs up, signing in is audited, and grants are read with the person."""

import time
from typing import Any, Final, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.flows.login import get_authentication_records, perform_login, record_authentication
from allauth.account.models import Login
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib.auth import login, logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from requests import Session

from studio import vault
from studio.audit import refusals
from studio.audit.record import NoLonger, record
from studio.models import User
from studio.people import guard, limits, oidc
from studio.people.person import read_person
from studio.people.sessions import SessionStore
from studio.web import AppRequest, open_forms_kept

LINK_USED_AT: Final = "signed_in_by_link_at"
# the audit log's words for the steps of signing in
STEPS: Final = {"socialaccount": oidc.NAME, "mfa": "second factor"}


def sign_in_by_link(request: HttpRequest, user: User, redirect_url: str) -> HttpResponseBase:
    """Begin to sign in the person of a one-time link; a second factor is still asked for."""
    with open_forms_kept(request, user):
        # somebody else may be signed in here, whose session must not go on under another person
        logout(request)
        record_authentication(request, user, method="link")
        response: HttpResponseBase = perform_login(request, Login(user=user, redirect_url=redirect_url))
    return response


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_reauthentication_required(self, **kwargs: Any) -> bool:
        """Return False: studio.people.confirm asks instead, and keeps the form that was sent."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return str(request.META.get("REMOTE_ADDR", ""))

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Check a password, if there were not too many tries; a wrong one is in the audit log."""
        email = credentials.get("email", "")
        if not limits.may_try(request, limits.PASSWORD, email):
            refusals.sign_in_refused(request, email, "password", "too many tries")
            raise self.validation_error("too_many_login_attempts")
        user = super().authenticate(request, **credentials)
        if user:
            limits.was_right(request, limits.PASSWORD, email)
        else:
            # asked for every email, so that the time does not tell which ones are here
            is_here = User.objects.filter(email=email.lower()).exists()
            refusals.sign_in_refused(request, email, "password", "wrong" if is_here else "nobody has this email")
        return user

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        refusals.sign_in_refused(request, user.email, "", "deactivated")
        return super().respond_user_inactive(request, user)

    def login(self, request: HttpRequest, user: Any) -> None:
        """Begin a session under a new key once all steps are done; without its audit event none begins."""
        proofs = get_authentication_records(request, user)
        steps = [proof["method"] for proof in proofs]
        for proof in proofs:
            if proof["method"] == "socialaccount":
                # it proves who this is as of when the provider asked, which may be long ago
                proof["at"] = getattr(request, oidc.ASKED_AT, 0)
        how = ", ".join(STEPS.get(step, step) for step in dict.fromkeys(steps))
        ours = cast(AppRequest, request)
        try:
            with transaction.atomic():
                # whoever changes the person's sessions takes the locks in this order too
                User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
                with open_forms_kept(request, user):
                    login(request, user, backend="studio.people.adapters.Backend")
                browser = request.headers.get("User-Agent", "")
                cast(SessionStore, request.session).begin(request.META.get("REMOTE_ADDR", ""), browser)
                if "link" in steps:
                    request.session[LINK_USED_AT] = int(time.time())
                record(guard.newcomer(ours, user), "person.sign_in", object=user.email, data={"how": how})
        except Exception:
            # the middleware saves a session with every answer but a 5xx, and an error need not become one
            request.session.flush()
            raise

    def logout(self, request: HttpRequest) -> None:
        ours = cast(AppRequest, request)
        try:
            with transaction.atomic():
                # first, as whoever has the audit log's lock must not wait for a session
                User.objects.select_for_update(no_key=True).filter(pk=ours.user.pk).first()
                cast(SessionStore, request.session).lock()
                record(guard.actor_of(ours), "person.sign_out", object=ours.user.email)
                super().logout(request)
        except NoLonger:
            # the session was ended meanwhile
            super().logout(request)


class SocialAdapter(DefaultSocialAccountAdapter):
    """Signs in people who were invited and whose email the provider has verified. It makes no accounts."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Find the person by email at their first visit; later ones are found by the provider's id of them."""
        # whoever may type any address at the provider must not become that person here, nor stay them
        verified = [one.email for one in sociallogin.email_addresses if one.verified is True]
        if verified and sociallogin.is_existing:
            return
        user = User.objects.filter(email__in=verified).order_by("id").first()
        if user is None or sociallogin.is_existing:
            email = next((one.email for one in sociallogin.email_addresses), "")
            refusals.sign_in_refused(request, email, oidc.NAME, "not invited, or the email is not verified")
            ctx = {"why": "unknown", "email": email}
            raise ImmediateHttpResponse(render(request, "account/oidc_failed.html", ctx, status=403))
        sociallogin.connect(request, user)

    def get_requests_session(self) -> Session:
        """Follow no redirect, which could lead codes and the client's secret elsewhere."""
        session: Session = cast(Any, super()).get_requests_session()
        session.max_redirects = 0
        return session

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,
    ) -> None:
        why = exception or "the person or the provider ended it, or nobody asked for it here"
        raise ImmediateHttpResponse(oidc.refuse(request, str(why)))


class FactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return vault.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret; raise vault.Unreadable if it was encrypted with another SECRET_KEY."""
        secret = vault.decrypt(encrypted_text)
        # never an empty secret, whose codes anybody can compute
        if not secret:
            raise vault.Unreadable
        return secret

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Send nothing, because changes of factors are in the audit log."""

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """Name a passkey whose owner gave it no name: Passkey, Passkey 2, …"""
        number = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.WEBAUTHN).count() + 1
        return "Passkey" if number == 1 else f"Passkey {number}"


class Backend(AuthenticationBackend):
    def get_user(self, user_id: Any) -> User | None:
        user = read_person(user_id)
        return user if user and self.user_can_authenticate(user) else None
