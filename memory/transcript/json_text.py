"""JSON text indented for reading. It is not parsed, so that numbers and keys stay as they were stored."""

import json
import re
from typing import Final

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# a bracket, a comma, or the text between two of them: a value, or a key and its value
_PIECE: Final = re.compile(r'[\[\]{},]|(?:"(?:[^"\\]|\\.)*"|[^\[\]{},"])+', re.DOTALL)
_COLON: Final = re.compile(r'("(?:[^"\\]|\\.)*")\s*:\s*', re.DOTALL)
_DEEPEST: Final = 40
LONGEST: Final = 256_000


def indent(text: str, enough: int = LONGEST * 20) -> str:
    """Indent JSON by two spaces and resolve the escapes in its strings; return any other text unchanged.

    Stops after more than `enough` characters.
    """
    if len(text) > LONGEST or text.lstrip()[:1] not in ("{", "[") or not _is_json(text):
        return text
    out: list[str] = []
    lines = ["\n" + "  " * depth for depth in range(_DEEPEST + 1)]
    depth = 0
    opened = False
    length = 0
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece in ("[", "{"):
            out.append(lines[min(depth, _DEEPEST)] + piece if opened else piece)
            depth += 1
            opened = True
        elif piece in ("]", "}"):
            depth -= 1
            out.append(piece if opened else lines[min(depth, _DEEPEST)] + piece)
            opened = False
        elif piece == ",":
            out.append("," + lines[min(depth, _DEEPEST)])
        elif piece := piece.strip():
            piece = _readable(piece)
            length += len(piece)
            out.append(lines[min(depth, _DEEPEST)] + piece if opened else piece)
            opened = False
            if length > enough:
                break
    return "".join(out)


def unescape(text: str) -> str:
    """Resolve the escapes in the strings of JSON without indenting it."""
    return _STRING.sub(lambda found: _unescaped(found[0]), text) if "\\u" in text else text


def _is_json(text: str) -> bool:
    try:
        # numbers stay text, because Python refuses integers of more than 4,300 digits
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _readable(piece: str) -> str:
    """Put a space after the colon, and resolve escapes."""
    if '":' in piece and '": ' not in piece:
        piece = _COLON.sub(r"\1: ", piece, count=1)
    elif piece[-1] == ":":
        piece += " "
    return unescape(piece)


def _unescaped(string: str) -> str:
    r"""Resolve escapes like \u00fc in a JSON string; characters that cannot be printed stay escaped."""
    if "\\u" not in string:
        return string
    try:
        text = json.dumps(json.loads(string, strict=False), ensure_ascii=False)
    except ValueError:
        return string
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
