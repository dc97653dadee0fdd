"""The forms that take a code or a passkey: guesses are limited, and what is wrong is in the audit log."""

import struct
from collections.abc import Callable
from typing import Any, Final, TypeVar

from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, ReauthenticateWebAuthnForm
from django.core.cache import cache
from django.core.exceptions import ValidationError

from studio.audit import refusals
from studio.audit.record import Actor
from studio.models import User
from studio.people import limits

T = TypeVar("T")

# seconds; an app's code is good before and after its own 30, as clocks differ
_CODE_GOOD_FOR: Final = app_settings.TOTP_PERIOD * (2 * app_settings.TOTP_TOLERANCE + 1)


def _limited(user: User, check: Callable[[], str]) -> str:
    """Check a code, unless there were too many wrong ones."""
    request = context.request
    if not limits.may_try(request, limits.CODE, user.email):
        _refused(user, "code", "too many tries")
        raise get_adapter().validation_error("too_many_login_attempts")
    found = _audited(user, "code", lambda: _unused(user, check))
    limits.was_right(request, limits.CODE, user.email)
    return found


def _unused(user: User, check: Callable[[], str]) -> str:
    code = check()
    if not _use(user, code):
        raise get_adapter().validation_error("incorrect_code")
    return code


def _use(user: User, code: str) -> bool:
    """Note that a code was used, for as long as it is good; False if it was used before. allauth forgets after 30 s."""
    key = f"studio.code.used:{user.pk}:{normalize_user_code(code)}"
    return cache.add(key, True, _CODE_GOOD_FOR)


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
        return _limited(self.user, super().clean_code)


class ConfirmCodeForm(ReauthenticateForm):
    def clean_code(self) -> str:
        return _limited(self.user, super().clean_code)


class NewAppForm(ActivateTOTPForm):
    def clean_code(self) -> str:
        code = super().clean_code()
        _use(self.user, code)
        return code


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
