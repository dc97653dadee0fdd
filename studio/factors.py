"""Second factors: their secrets are encrypted in the database."""

import base64
import secrets
from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator

from studio import vault


class FactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return vault.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret; without the SECRET_KEY that wrote it a random one, as codes of an empty one are known."""
        return vault.decrypt(encrypted_text) or base64.b32encode(secrets.token_bytes(40)).decode()

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Send nothing: the audit log has it."""

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        """Name a passkey that its owner did not name: Passkey, Passkey 2, …"""
        number = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.WEBAUTHN).count() + 1
        return "Passkey" if number == 1 else f"Passkey {number}"
