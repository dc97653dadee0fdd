"""What a page of runs is made of, ready for its template."""

from dataclasses import dataclass, field

from memory.transcript.model import Media, Message, Run, Step, ToolCall


@dataclass(slots=True)
class Block:
    """A text: its `content`, which the page escapes unless it is rendered Markdown, and its `style`.

    `href` leads to the whole text, `part` for htmx; both are empty where all of it is shown.
    """

    content: str
    style: str
    size: int
    cut: bool = False
    href: str = ""
    part: str = ""


@dataclass(slots=True)
class CallCard:
    """A tool call; `tone` and `state` are its badge's, `facts` how long it took and how much it brought."""

    call: ToolCall
    tone: str
    state: str
    facts: str
    preview: str
    args: Block | None
    result: Block | None


@dataclass(slots=True)
class MessageCard:
    """A message; `folded` is the title under which it is folded, "" for one that stands on a `side`."""

    message: Message
    anchor: str
    folded: str
    side: str
    block: Block
    reasoning: Block | None
    calls: list[CallCard]

    @property
    def media(self) -> list[Media]:
        return self.message.media


@dataclass(slots=True)
class Card:
    """One run of the page, and the runs inside it."""

    run: Run
    anchor: str = ""
    href: str = ""
    json_href: str = ""
    elsewhere: str = ""  # where the run is that this one belongs to, when not on this page
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
    steps: list[tuple[Step, Block]] = field(default_factory=list)
    cards: list["Card"] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)

    def end_with_answer(self) -> None:
        """Take the answer out of the messages, to stand below the runs and steps that led to it."""
        last = self.messages[-1] if self.messages else None
        if last and (self.cards or self.steps) and last.message.role == "assistant" and last.block.content:
            self.answer = [self.messages.pop()]
        for card in self.cards:
            card.end_with_answer()
