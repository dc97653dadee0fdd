"""The check of an agent's icon: one emoji, or at most two letters."""

import unicodedata
from typing import Final

_ZERO_WIDTH_JOINER: Final = "\u200d"
_MOST: Final = 2


def is_icon(text: str) -> bool:
    """Tell whether a text has at most two visible characters; an emoji of several code points is one, a flag two."""
    seen, joined = 0, False
    for character in text:
        # marks, format characters (joiners, tags) and skin tones change the character before them
        belongs = unicodedata.category(character) in ("Mn", "Me", "Cf") or "\U0001f3fb" <= character <= "\U0001f3ff"
        if not belongs and not joined:
            seen += 1
        joined = character == _ZERO_WIDTH_JOINER
    return seen <= _MOST
