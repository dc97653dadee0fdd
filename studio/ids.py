"""Ids of agents, and the encoding of any text as one segment of a URL."""

import base64
import binascii
import re
import secrets
from hashlib import sha256
from typing import Final

# Postgres cuts names at 63 bytes: with longer ids two agents could end up in one schema
AGENT_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,56}[a-z0-9])?", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_@:.+-]{0,254}", re.ASCII)
# bytes of an id that a list gives whole: a longer one does not fit into an address
LONGEST: Final = 4096
_KEY: Final = re.compile(r"~\.[0-9a-f]{32}", re.ASCII)
_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"


def new_agent_id() -> str:
    """Make a public agent id: `agt-` and 12 lower-case base32 characters (60 bits)."""
    return "agt-" + "".join(secrets.choice(_BASE32) for _ in range(12))


def schema_name(agent_id: str) -> str:
    """Return the name of an agent's Postgres schema, which the SDK derives in the same way: at most 61 bytes."""
    return "ag_" + agent_id.replace("-", "_")


def is_agent_id(text: str) -> bool:
    return AGENT_ID.fullmatch(text) is not None


def key(text: str, longest: int = LONGEST) -> str:
    """Return what stands for an id in lists and addresses: the id, or `~.` and a hash of one of more bytes.

    SQL's memory_id returns the same. No id is the key of another, as one that begins with `~.` is hashed, too.
    """
    stored = text.encode()
    if len(stored) <= longest and not text.startswith("~."):
        return text
    return f"~.{sha256(stored).hexdigest()[:32]}"


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def key_of(given: str, longest: int = LONGEST) -> str:
    """Return the key of what somebody gave us: an id, or a key already."""
    return given if is_key(given) else key(given, longest)


def encode(text: str) -> str:
    """Write any text as one URL path segment.

    Plain ids and keys stay as they are. Any other text becomes `~` and the unpadded URL-safe base64 of its UTF-8,
    so that slashes, newlines, `..` and the empty id survive browsers and proxies. Raises UnicodeEncodeError for lone
    surrogates, which Postgres cannot store.
    """
    if _PLAIN.fullmatch(text) or is_key(text):
        return text
    return "~" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(segment: str) -> str:
    """Read a segment that `encode` wrote; raise ValueError for any other, so that each id has one URL."""
    if not segment.startswith("~") or is_key(segment):
        text = segment
    else:
        body = segment[1:]
        try:
            text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError, UnicodeEncodeError) as error:
            raise ValueError("not an encoded id") from error
    # base64 can write one text in several ways: only the one of `encode` counts
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
