"""Encryption of secrets that must be read again: database passwords and second factors."""

import base64
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes

from studio import secret_key
from studio.postgres.backend.base import public_cursor

_PURPOSE: Final = b"agent-studio database passwords"


class Unreadable(Exception):
    """A secret was encrypted with a key that the studio does not have any more."""

    def __init__(self) -> None:
        super().__init__(
            "It was encrypted with another SECRET_KEY. Whoever runs the studio adds that key to SECRET_KEY_FALLBACKS."
        )


def encrypt(text: str) -> str:
    """Encrypt a text with the key of now, which stays that until the transaction ends."""
    with public_cursor() as cursor:
        cursor.execute("select from public.studio_turn where name = 'secrets' for share")
    return _fernet().encrypt(text.encode()).decode()


def decrypt(token: str) -> str | None:
    """Return the text, or None when neither SECRET_KEY nor a fallback wrote it."""
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken:
        return None


def hold() -> None:
    """Let nobody encrypt until the transaction ends, and wait for those who do."""
    with public_cursor() as cursor:
        cursor.execute("select from public.studio_turn where name = 'secrets' for update")


def is_current(token: str) -> bool:
    """Tell whether a token was written with the key of now."""
    try:
        _derive(_keys()[0]).decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def _fernet() -> MultiFernet:
    return MultiFernet([_derive(key) for key in _keys()])


def _keys() -> list[str | bytes]:
    """Return the key of now and those before it; a studio that runs learns at once that `rotate_secret` made one."""
    before = secret_key.before(settings.DATA_DIR)
    if not secret_key.is_given() and settings.SECRET_KEY in before:
        return [secret_key.current(settings.DATA_DIR), *before]
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _derive(secret: str | bytes) -> Fernet:
    # a key of its own, apart from those that Django derives from SECRET_KEY
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(force_bytes(secret))
    return Fernet(base64.urlsafe_b64encode(key))
