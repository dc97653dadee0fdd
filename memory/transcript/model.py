"""Runs, messages and tool calls as plain values, which `parse` has checked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from memory.transcript.json_text import LONGEST, indent

# Runs with these statuses are not sent to the model; REGENERATED since 3.x.
SKIPPED = frozenset({"PAUSED", "CANCELLED", "ERROR", "REGENERATED"})


@dataclass
class Text:
    """A stored text. `path` is its name within the run; `kind` is text, markdown or json.

    `whole` is the size in bytes of all of it if only its beginning was read.
    """

    value: str
    path: str
    kind: str = "text"
    whole: int | None = None

    @property
    def is_cut(self) -> bool:
        return self.whole is not None

    @cached_property
    def size(self) -> int:
        """Size in bytes, as UTF-8."""
        return utf8_size(self.value) if self.whole is None else self.whole

    @property
    def shown(self) -> str:
        """The text for a page: JSON is indented and its escapes are resolved."""
        return self.beginning()

    def beginning(self, enough: int = LONGEST * 20) -> str:
        """Return at least the first `enough` characters of `shown`, without laying out the rest."""
        return indent(self.value, enough) if self.kind == "json" else self.value

    def __bool__(self) -> bool:
        return bool(self.value)


def utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


@dataclass
class Media:
    """A picture, recording, film or file, without its bytes.

    `size` is in bytes, None if it is not known; `source` says where the file is kept.
    """

    kind: str
    mime: str = ""
    name: str = ""
    size: int | None = None
    source: str = ""


@dataclass
class Part:
    """A part of a content that is no plain text: a refusal, resource, result, or `other` as JSON."""

    kind: str
    name: str
    text: Text


@dataclass
class Source:
    """What an answer cites: an address, a document, or both; `text` is the place in it."""

    url: str = ""
    title: str = ""
    text: str = ""

    @property
    def is_web(self) -> bool:
        return self.url.lower().startswith(("https://", "http://"))


@dataclass
class Reference:
    """A text that the model was given from a store of knowledge; `query` is what was asked for."""

    query: str
    name: str
    text: Text


@dataclass
class ToolCall:
    """A tool call and its result. `status` is ok, error, waiting, refused, or none (without a result).

    `wants` says in words what a waiting call waits for.
    """

    call_id: str
    name: str
    args: Text
    result: Text | None = None
    status: str = "none"
    seconds: float | None = None
    media: list[Media] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    wants: str = ""

    @property
    def size(self) -> int:
        return self.result.size if self.result else 0


@dataclass
class Message:
    """A message. `role` is user, assistant, system, tool or any other that was stored.

    `redacted` is the size in bytes of reasoning that only its provider can read.
    """

    message_id: str
    role: str
    text: Text
    created_at: int | None = None
    name: str = ""
    reasoning: Text | None = None
    redacted: int = 0
    media: list[Media] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)


@dataclass
class Step:
    """A step of a workflow's run."""

    name: str
    executor: str
    text: Text
    failed: bool = False
    media: list[Media] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


@dataclass
class Run:
    """A run. `problem` says why it cannot be shown; `size` is that of its JSON text, in bytes."""

    run_id: str = ""
    parent_run_id: str = ""
    kind: str = "agent"
    name: str = ""
    counts: bool = False  # an element of the column that a depth of history counts
    user_id: str | None = None
    status: str = ""
    created_at: int | None = None
    model: str = ""
    provider: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    seconds: float | None = None
    first_token_seconds: float | None = None
    messages: list[Message] = field(default_factory=list)
    hidden: int = 0  # messages left out because they are copies of earlier turns
    unread: int = 0  # messages, calls and steps left out because there are too many
    steps: list[Step] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    followups: list[str] = field(default_factory=list)
    note: Text | None = None  # the reason why it failed or was cancelled
    members: list["Run"] = field(default_factory=list)
    problem: str = ""
    size: int = 0

    @property
    def answer(self) -> Message | None:
        """The answer, if there are runs or steps inside this one, after which it was given."""
        last = self.messages[-1] if self.messages else None
        said = last if last and last.role == "assistant" and last.text and not last.calls else None
        return said if self.members or self.steps else None

    @property
    def is_sub_run(self) -> bool:
        return bool(self.parent_run_id)

    def texts(self) -> Iterator[Text]:
        """Yield every text of the run and of the runs inside it."""
        if self.note:
            yield self.note
        for message in self.messages:
            yield message.text
            if message.reasoning:
                yield message.reasoning
            yield from (part.text for part in message.parts)
            for call in message.calls:
                yield call.args
                if call.result:
                    yield call.result
                yield from (part.text for part in call.parts)
        for step in self.steps:
            yield step.text
            yield from (part.text for part in step.parts)
        yield from (one.text for one in self.references)
        for member in self.members:
            yield from member.texts()

    def find(self, path: str) -> Text | None:
        return next((text for text in self.texts() if text.path == path), None)
