"""Where a page of a transcript begins: an opaque token that holds a run's place in the thread."""

import base64
import binascii
import json
import zlib
from dataclasses import astuple, dataclass
from typing import Any, Final

_BIGINT: Final = range(-(2**63), 2**63)
_LONGEST: Final = 65_536
_WORTH_PACKING: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place in the order of its thread, and the way that a page goes from it.

    `position` is its index in the column, None for a run of the table. `newer` pages go up from
    here, others down; with `inclusive` they begin with this run. `shown` counts the runs that come
    before this place in the order of reading, and `sent` those among them that the model is sent;
    -1 where nobody has counted.
    """

    created_at: int
    run_index: int
    run_id: str | None
    position: int | None
    newer: bool = False
    inclusive: bool = False
    shown: int = -1
    sent: int = -1

    @classmethod
    def read(cls, token: str) -> "Place | None":
        """Read a token that `write` made; "" is the thread's end, anything else raises ValueError."""
        if not token:
            return None
        parts = _unpack(token)
        place = cls(*parts) if isinstance(parts, list) and len(parts) == 8 else None
        if place is None or not place._is_sound():
            raise ValueError("not a place in a thread")
        return place

    def write(self) -> str:
        parts = list(astuple(self))
        text = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
        # a run id may be as long as it likes; a URL may not
        body = b"z" + zlib.compress(text, 9) if len(text) > _WORTH_PACKING else b"j" + text
        return base64.urlsafe_b64encode(body).decode().rstrip("=")

    @property
    def values(self) -> dict[str, Any]:
        return {
            "at": self.created_at,
            "index": self.run_index,
            "id": self.run_id,
            "no_id": self.run_id is None,
            "position": -1 if self.position is None else self.position,
        }

    def _is_sound(self) -> bool:
        position = 0 if self.position is None else self.position
        numbers = (self.created_at, self.run_index, position, self.shown, self.sent)
        if any(type(number) is not int or number not in _BIGINT for number in numbers):
            return False
        if type(self.newer) is not bool or type(self.inclusive) is not bool:
            return False
        if self.run_id is None:
            return True
        if not isinstance(self.run_id, str) or "\x00" in self.run_id:
            return False
        return self.run_id.encode("utf-8", "replace").decode() == self.run_id  # no lone surrogate


def _unpack(token: str) -> Any:
    """Read the JSON in a token; None for one that is no such thing."""
    if len(token) > _LONGEST:
        return None
    try:
        body = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        text = zlib.decompressobj().decompress(body[1:], _LONGEST) if body[:1] == b"z" else body[1:]
        return json.loads(text)
    except (ValueError, zlib.error, binascii.Error, RecursionError):
        return None
