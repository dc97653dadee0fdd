"""Foreign texts as a page shows them: what nobody sees, and what turns text round, becomes a mark like ⟨U+202E⟩.

Agents and people choose ids, names and titles. With such characters one could look like another, or hide a part.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

# accents on one letter; scripts that stack many, such as Tibetan, need no more
_MOST_ACCENTS: Final = 6
# characters without a glyph, or with a blank one, that Unicode calls letters, signs, accents or nothing
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)
_HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
# format characters that are seen: they stand around the digits that follow
_SEEN: Final = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_LAYOUT: Final = frozenset("\n\r\t")

_PICTURE: Final = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u27bf\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_STYLE: Final = "[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]"
_IDEOGRAPH: Final = "[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
# letters that an invisible character joins or keeps apart, and those between which one allows a new line
_JOINING: Final = "[\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff\u1820-\u18aa]"
_UNSPACED: Final = "[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff]"
_VIRAMA: Final = "[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca]"
# where writing needs what is not seen: pictures made of several, flags, variants, and letters that join
_NEEDED: Final = re.compile(
    f"({_PICTURE}{_STYLE}*(?:\u200d{_PICTURE}{_STYLE}*)+|{_PICTURE}{_STYLE}|[0-9#*]\ufe0f\u20e3"
    "|\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f"
    f"|{_IDEOGRAPH}[\ufe00-\ufe0f\U000e0100-\U000e01ef]|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]"
    f"|(?<={_JOINING})[\u200c\u200d](?={_JOINING})|(?<={_VIRAMA})\u200d|(?<={_UNSPACED})\u200b(?={_UNSPACED}))"
)


class AsIs(str):
    """A text that a template writes as it is, such as the value of a field, or what was said in a thread."""

    __slots__ = ()


_AS_THEY_ARE: Final = (int, float, AsIs)


def finalize(value: Any) -> Any:
    """Return what a template writes for a value; markup and AsIs stay as they are."""
    if type(value) is str:
        # most texts, and asked here, because a page has thousands
        return value if value.isascii() and value.isprintable() else visible(value)
    if value is None or isinstance(value, _AS_THEY_ARE) or hasattr(value, "__html__"):
        return value
    # what names itself, such as a person
    return visible(str(value))


def as_is(value: Any) -> Any:
    return AsIs(value) if type(value) is str else value


def visible(text: str) -> str:
    """Return a text with marks for what nobody sees, and without accents beyond what a letter may have."""
    return "".join(_few(is_accent, list(run)) for is_accent, run in groupby(_replaced(text, _marked), _is_accent))


def visible_json(text: str) -> str:
    r"""Return JSON with escapes like \u202e for what nobody sees, which mean the same."""
    return text if text.isascii() else _replaced(text, _escaped)


def _replaced(text: str, replace: Callable[[str], str]) -> str:
    # every second part is one that writing needs
    return "".join(part if n % 2 else "".join(map(replace, part)) for n, part in enumerate(_NEEDED.split(text)))


@lru_cache(maxsize=4096)
def _marked(char: str) -> str:
    return f"⟨U+{ord(char):04X}⟩" if _is_hidden(char) else char


@lru_cache(maxsize=4096)
def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if _is_hidden(char) else char


def _is_hidden(char: str) -> bool:
    if char in _LAYOUT or char in _SEEN:
        return False
    return unicodedata.category(char) in _HIDDEN or _BLANK.fullmatch(char) is not None


def _is_accent(char: str) -> bool:
    return char > "\u02ff" and unicodedata.category(char) in ("Mn", "Me")


def _few(is_accent: bool, run: list[str]) -> str:
    left = len(run) - _MOST_ACCENTS if is_accent else 0
    return "".join(run) if left <= 0 else f"{''.join(run[:_MOST_ACCENTS])}⟨{left} more accents⟩"
