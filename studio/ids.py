"""Ids: which are allowed for an agent, and how any text travels in a URL."""

import base64
import binascii
import re
import secrets
from typing import Final

AGENT_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,56}[a-z0-9])?", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_@:.+-]{0,254}", re.ASCII)
_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"


def new_agent_id() -> str:
    """Make a public agent id: `agt-` and 12 lower-case base32 characters (60 bits)."""
    return "agt-" + "".join(secrets.choice(_BASE32) for _ in range(12))


def schema_name(agent_id: str) -> str:
    """Name the Postgres schema of an agent, as the SDK does: at most 61 bytes."""
    return "ag_" + agent_id.replace("-", "_")


def is_agent_id(text: str) -> bool:
    return AGENT_ID.fullmatch(text) is not None


def encode(text: str) -> str:
    """Write any text as one URL path segment.

    Plain ids stay readable; all else becomes `~` and the unpadded URL-safe base64 of its UTF-8, so
    that slashes, newlines, `..` and the empty id survive browsers and proxies. Lone surrogates
    cannot be stored in Postgres and raise UnicodeEncodeError.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "~" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(segment: str) -> str:
    """Read what `encode` wrote; anything else raises ValueError, so each id has one URL."""
    if not segment.startswith("~"):
        text = segment
    else:
        body = segment[1:]
        try:
            text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError, UnicodeEncodeError) as error:
            raise ValueError("not an encoded id") from error
    if "\x00" in text or encode(text) != segment:
        raise ValueError("not an encoded id")
    return text


class AgentIdConverter:
    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        if not is_agent_id(value):
            raise ValueError("not an agent id")
        return value

    def to_url(self, value: str) -> str:
        return value


class AnyTextConverter:
    """Path converter for session and user ids, which are any text."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return decode(value)

    def to_url(self, value: str) -> str:
        return encode(value)
