"""Cursors: opaque tokens in addresses that say where the next page of a list begins."""

import base64
import binascii
import json
import zlib
from typing import Any, Final

_BIGINT: Final = range(-(2**63), 2**63)
_LONGEST: Final = 65_536  # characters of a token, and bytes of what it unpacks to
_WORTH_PACKING: Final = 200

Value = str | int | bool | None


def pack(kind: str, *values: Value) -> str:
    """Write values as a token that only the same `kind` can read: the name of a list and its order."""
    text = json.dumps([kind, *values], ensure_ascii=False, separators=(",", ":")).encode()
    # an id may have thousands of characters, and an address may not
    body = b"z" + zlib.compress(text, 9) if len(text) > _WORTH_PACKING else b"j" + text
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def unpack(token: str, kind: str, *types: tuple[type, ...]) -> list[Any]:
    """Read a token that `pack` made for this kind, with one value for each of `types`; else raise ValueError.

    Numbers fit into a bigint, and Postgres can store the texts.
    """
    found = _parts(token[:_LONGEST])
    if not isinstance(found, list) or len(found) != len(types) + 1 or found[0] != kind:
        raise ValueError("not a token of this list")
    values = found[1:]
    # by exact type, because True is an int for isinstance
    if not all(type(value) in allowed and _is_sound(value) for value, allowed in zip(values, types, strict=True)):
        raise ValueError("not a token of this list")
    return values


def unpack_or_none(token: str, kind: str, *types: tuple[type, ...]) -> list[Any] | None:
    """Read a token as `unpack` does, or return None, for lists that then show their first page."""
    try:
        return unpack(token, kind, *types)
    except ValueError:
        return None


def _parts(token: str) -> Any:
    try:
        body = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        # with a limit: a short token may unpack to gigabytes
        text = zlib.decompressobj().decompress(body[1:], _LONGEST) if body[:1] == b"z" else body[1:]
        return json.loads(text)
    except (ValueError, zlib.error, binascii.Error, RecursionError) as error:
        raise ValueError("not a token") from error


def _is_sound(value: Value) -> bool:
    if isinstance(value, int):
        return value in _BIGINT
    # Postgres stores neither NUL nor half of a surrogate pair
    return value is None or ("\x00" not in value and value.encode("utf-8", "replace").decode() == value)
