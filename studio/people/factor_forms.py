"""The forms that take a code or a passkey: guesses are limited, and what is wrong is in the audit log."""

import struct
from collections.abc import Callable
from typing import Any, TypeVar

from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, ReauthenticateWebAuthnForm
from django.core.exceptions import ValidationError

from studio.audit import refusals
from studio.audit.record import Actor
from studio.models import User
from studio.people import limits

T = TypeVar("T")


def _limited(user: User, how: str, check: Callable[[], T]) -> T:
    """Check a code, unless there were too many wrong ones."""
    request = context.request
    if not limits.may_try(request, limits.CODE, user.email):
        _refused(user, how, "too many tries")
        raise get_adapter().validation_error("too_many_login_attempts")
    found = _audited(user, how, check)
    limits.was_right(request, limits.CODE, user.email)
    return found


def _audited(user: User, how: str, check: Callable[[], T]) -> T:
    try:
        return _read(check)
    except ValidationError:
        _refused(user, how, "wrong")
        raise


def _read(check: Callable[[], T]) -> T:
    """Check what a browser sent; what has another shape than a passkey is wrong, where allauth would break."""
    try:
        return check()
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError, struct.error) as error:
        raise get_adapter().validation_error("incorrect_code") from error


def _refused(user: User, how: str, why: str) -> None:
    request = context.request
    if not request.user.is_authenticated:
        refusals.sign_in_refused(request, user.email, how, why)
        return
    actor = Actor.person(user, request.META.get("REMOTE_ADDR", ""), getattr(request, "id", ""))
    refusals.refused(actor, "refusal.confirm", object=user.email, how=how, why=why)


class CodeForm(AuthenticateForm):
    def clean_code(self) -> str:
        return _limited(self.user, "code", super().clean_code)


class ConfirmCodeForm(ReauthenticateForm):
    def clean_code(self) -> str:
        return _limited(self.user, "code", super().clean_code)


class PasskeyForm(AuthenticateWebAuthnForm):
    # not limited: a passkey signs what the server made up, and cannot be guessed
    def clean_credential(self) -> Any:
        return _audited(self.user, "passkey", super().clean_credential)


class NewPasskeyForm(AddWebAuthnForm):
    def clean(self) -> dict[str, Any]:
        return _read(super().clean)


class ConfirmPasskeyForm(ReauthenticateWebAuthnForm):
    def clean_credential(self) -> Any:
        return _audited(self.user, "passkey", super().clean_credential)
