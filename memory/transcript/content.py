"""What a message's content holds, read apart by `parts`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from memory.transcript.media import label, without_bytes
from memory.transcript.model import Media, Part, Source, Text
from memory.transcript.values import string


class Piece(NamedTuple):
    """A part that is no plain text: a refusal, a resource, a result, or `other`, an unknown one as JSON."""

    kind: str
    name: str
    value: str
    shape: str = "text"


@dataclass
class Content:
    """`kind` is that of the text, text or json; `redacted` is the size of thinking that only its provider can read."""

    words: list[str] = field(default_factory=list)
    kind: str = "text"
    media: list[Media] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    redacted: int = 0
    sources: list[Source] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(filter(None, self.words))

    def __bool__(self) -> bool:
        return bool(self.text or self.media or self.pieces)

    def parts(self, text: Callable[[str, str], Text]) -> list[Part]:
        return [Part(one.kind, label(one.name), text(one.value, one.shape)) for one in self.pieces]

    def say(self, text: str) -> str:
        """Keep the bytes within a text as media; return it without them, "" if it is nothing else."""
        text, media = without_bytes(string(text))
        self.media += media
        return "" if len(media) == 1 and text.strip() in (f"[{media[0].mime}]", "[data]") else text

    def take(self, inner: "Content") -> str:
        """Take over what a part holds, but return its text."""
        self.media += inner.media
        self.pieces += inner.pieces
        self.thinking += inner.thinking
        self.redacted += inner.redacted
        self.sources += inner.sources
        self.calls += inner.calls
        return inner.text
