"""A line of the file of deletions, as it is written and as it is read, whatever somebody has made of it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import IO, Annotated, Any, Final, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

# for Python 3.11
from typing_extensions import TypedDict

# bytes; ten times what 10,000 threads take
LONGEST: Final = 16 * 1024 * 1024
_END: Final = ', "hash": "{}"}}\n'
_TAIL: Final = len(_END.format("0" * 64))

_Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Hex = Annotated[str, Field(pattern="^([0-9a-f]{2})+$", max_length=200)]
_Name = Annotated[str, Field(pattern=r"^[^\x00]+$", max_length=200)]


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class _Values(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True)  # type: ignore[misc]

    event: _Number
    event_hash: _Hash
    # of a line that somebody has changed it may be anything
    prev: str
    schema: NotRequired[_Name]
    threads: NotRequired[list[tuple[_Hex, _Number, _Number | None]]]
    agent: NotRequired[_Name]
    created_at: NotRequired[Annotated[str, AfterValidator(_moment)]]
    replayed: NotRequired[_Number]


def _complete(values: _Values) -> _Values:
    if ("threads" in values or "agent" in values) and "schema" not in values:
        raise ValueError("of no schema")
    if "agent" in values and "created_at" not in values:
        raise ValueError("of no agent")
    return values


_VALUES: Final = TypeAdapter(Annotated[_Values, AfterValidator(_complete)])


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file and its number; `faulty` if it is not as it was written, or not after the one before.

    One that nobody can read has no values; one that is `torn` has no end, as a crash leaves it.
    """

    number: int
    values: dict[str, Any]
    faulty: bool = False
    torn: bool = False

    @property
    def event(self) -> tuple[int, str]:
        return self.values["event"], self.values["event_hash"]


def ended(text: str) -> bytes:
    """Return the line of a JSON object, with its hash."""
    return (text[:-1] + _END.format(hash_of(text))).encode()


def read(file: IO[bytes], end: int) -> Iterator[tuple[int, bytes]]:
    """Yield where each line begins, and the line, up to `end`; one that is too long is cut, so that nobody reads it."""
    while (start := file.tell()) < end:
        line = piece = file.readline(LONGEST)
        while piece and not piece.endswith(b"\n"):
            piece = file.readline(LONGEST)
        yield start, line


def parse(number: int, line: bytes, before: str) -> tuple[Line, str]:
    """Return a line that follows one with the hash `before`, and its own hash."""
    given = line[-67:-3].decode(errors="replace")
    try:
        text = line[:-_TAIL].decode() + "}"
        values: dict[str, Any] = dict(_VALUES.validate_json(text))
    except (ValidationError, UnicodeDecodeError):
        return Line(number, {}, faulty=True, torn=not line.endswith(b"\n") and len(line) < LONGEST), given
    return Line(number, values, hash_of(text) != given or values["prev"] != before), given


def cut_torn(file: IO[bytes]) -> None:
    """Cut off the part of a line that a crash left; nobody was told of that deletion."""
    size = end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(end - 65_536, 0)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        file.truncate(end)
    file.seek(0, os.SEEK_END)


def last_hash(file: IO[bytes]) -> str:
    """Return the hash of the last line, or whatever stands in its place."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 67, 0))
    last = file.read()[:-3].decode(errors="replace")
    file.seek(0, os.SEEK_END)
    return last


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()
