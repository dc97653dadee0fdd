"""The values that the template of a transcript shows: runs, messages, tool calls and their texts."""

from dataclasses import dataclass, field

from memory.transcript.model import Media, Message, Part, Reference, Run, Step, ToolCall


@dataclass(slots=True)
class Block:
    """A text on the page, whole or cut. `content` is escaped by the template unless it is rendered Markdown.

    `style` is its CSS class, `size` its size in bytes. `href` is the address of the whole text and `part` the
    one for htmx; both are empty if the whole text is shown.
    """

    content: str
    style: str
    size: int
    cut: bool = False
    href: str = ""
    part: str = ""


Parts = list[tuple[Part, Block]]


@dataclass(slots=True)
class CallCard:
    """A tool call; `tone` and `state` are the colour and text of its badge, `facts` its duration and result's size."""

    call: ToolCall
    tone: str
    state: str
    facts: str
    preview: str
    args: Block | None
    result: Block | None
    parts: Parts


@dataclass(slots=True)
class MessageCard:
    """A message. A folded one shows the title `folded`; with "" it is open, on the `side` of user or assistant."""

    message: Message
    anchor: str
    folded: str
    side: str
    block: Block
    reasoning: Block | None
    parts: Parts
    calls: list[CallCard]

    @property
    def media(self) -> list[Media]:
        return self.message.media


@dataclass(slots=True)
class Card:
    """A run on the page, with the runs inside it as `cards`.

    `words`, `tone` and `state` are the text, colour and CSS class of its status. `waits` are the calls that
    wait for somebody, as (name, what for).
    """

    run: Run
    anchor: str = ""
    href: str = ""
    json_href: str = ""
    elsewhere: str = ""  # the address of its parent run, if that is on another page
    too_large: bool = False
    sent: bool = False
    left_out: bool = False
    words: str = ""
    tone: str = ""
    state: str = ""
    speaker: str | None = None
    note: Block | None = None
    messages: list[MessageCard] = field(default_factory=list)
    answer: list[MessageCard] = field(default_factory=list)
    steps: list[tuple[Step, Block, Parts]] = field(default_factory=list)
    references: list[tuple[Reference, Block]] = field(default_factory=list)
    cards: list["Card"] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)

    def end_with_answer(self) -> None:
        """Move the answer from the messages to `answer`, which is shown below the runs and steps inside this one."""
        last = self.messages[-1] if self.messages else None
        if last and (self.cards or self.steps) and last.message.role == "assistant" and last.block.content:
            self.answer = [self.messages.pop()]
        for card in self.cards:
            card.end_with_answer()
