"""Making the cards of a transcript's page: runs nested, with addresses, states in words, and long texts cut."""

from typing import Final

from memory.pages.cards import Block, CallCard, Card, MessageCard, Parts
from memory.pages.reading_mode import ReadingMode
from memory.pages.words import STATUSES, Status, name_of_user
from memory.services.next_turn import NextTurn
from memory.transcript.json_text import unescape
from memory.transcript.model import SKIPPED, Message, Part, Run, Text, ToolCall
from memory.transcript.runs import RunPage
from memory.transcript.stored import StoredRun
from studio import ids
from studio.formats import duration, size
from studio.render import Budget, markdown
from studio.visible import visible_json

# characters of one text that a page shows before "show all"
CUT: Final = 4_000
CUT_PROSE: Final = 8_000
# longer JSON is indented only when the whole text is asked for, because that takes time
INDENTED_UP_TO: Final = 1_200
_PREVIEW: Final = 120
_STYLES: Final = {"text": "plain-text", "markdown": "plain-text", "json": "json"}

# colours and texts of a call's badge; any other status is its own text, in the colour of a warning
_CALL_TONES: Final = {"ok": "ok", "error": "bad", "none": ""}
_CALL_STATES: Final = {"none": "no result"}
# titles of messages that are folded, by role
_FOLDED: Final = {"system": "System message", "unknown": "Message without a role"}


class RunCards:
    """Makes the cards of one page, with unique anchors and one budget for all of its Markdown."""

    def __init__(self, reading: ReadingMode, owner: str | None) -> None:
        self.reading = reading
        self.owner = owner
        self._budget = Budget()
        self._anchors: dict[str, int] = {}

    def nest(self, page: RunPage, turn: NextTurn | None = None) -> list[Card]:
        """Make the cards of a page in its order; a run whose parent is on the page goes into the parent's card."""
        cards = {row.key: self._card(row, turn) for row in page.runs}
        # reversed, so that of runs with the same id the first one is the parent
        by_id = {row.run_id: row for row in reversed(page.runs) if row.run_id}
        top = []
        for row in page.runs:
            parent = by_id.get(row.parent_run_id or "")
            if parent is None or _leads_back(row, by_id):
                top.append(cards[row.key])
                if row.parent_run_id:
                    cards[row.key].elsewhere = self._link(row.parent_run_id)
            else:
                inside = cards[parent.key].cards
                # the parent may hold an older copy of this run
                inside[:] = [one for one in inside if one.run.run_id != row.run_id]
                inside.insert(0 if self.reading.order == "newest" else len(inside), cards[row.key])
        for card in top:
            card.end_with_answer()
        return top

    def _card(self, row: StoredRun, turn: NextTurn | None) -> Card:
        run, address = row.run, self._run_address(row)
        card = self._show(run, address)
        card.href = self._link(run.run_id, row.position) if run.run_id else ""
        card.json_href = address
        card.too_large, card.sent = row.too_large, turn is not None and turn.sends(row)
        ended_badly = turn.has_ended_badly(row) if turn and turn.knows(row) else run.status in SKIPPED
        card.left_out = not run.is_sub_run and ended_badly
        return card

    def _show(self, run: Run, address: str) -> Card:
        word, tone, state = STATUSES.get(run.status, Status(run.status.capitalize()[:20]))
        card = Card(run, self._anchor("run", run.run_id), words=word, tone=tone, state=state)
        speaker = self.owner if run.user_id is None else run.user_id
        card.speaker = name_of_user(speaker) if speaker else None
        card.messages = [self._message(message, address) for message in run.messages]
        card.note = self._block(run.note, address) if run.note else None
        card.steps = [(step, self._block(step.text, address), self._parts(step.parts, address)) for step in run.steps]
        card.references = [(one, self._block(one.text, address)) for one in run.references]
        card.cards = [self._show(member, address) for member in run.members]
        card.waits = [(call.name, call.wants) for one in run.messages for call in one.calls if call.wants]
        return card

    def _message(self, message: Message, address: str) -> MessageCard:
        return MessageCard(
            message,
            self._anchor("message", message.message_id),
            _FOLDED.get(message.role, ""),
            "user" if message.role == "user" else "assistant",
            self._block(message.text, address, CUT_PROSE if message.role == "assistant" else CUT),
            self._block(message.reasoning, address) if message.reasoning else None,
            self._parts(message.parts, address),
            [self._call(call, address) for call in message.calls],
        )

    def _parts(self, parts: list[Part], address: str) -> Parts:
        return [(part, self._block(part.text, address)) for part in parts]

    def _call(self, call: ToolCall, address: str) -> CallCard:
        args = self._block(call.args, address) if call.args else None
        preview = " ".join(args.content[: _PREVIEW * 4].split())[:_PREVIEW] if args else ""
        return CallCard(
            call,
            _CALL_TONES.get(call.status, "warn"),
            _CALL_STATES.get(call.status, call.status),
            _facts(call),
            preview,
            args,
            self._block(call.result, address) if call.result else None,
            self._parts(call.parts, address),
        )

    def _block(self, text: Text, address: str, cut: int = CUT) -> Block:
        flat = text.kind == "json" and len(text.value) > INDENTED_UP_TO
        # an escape like \u00fc has six characters, so six times as many are enough
        shown = unescape(text.value[: 6 * cut]) if flat else text.beginning(cut)
        block = Block(
            shown, _STYLES[text.kind], text.size, cut=len(shown) > cut or (flat and len(text.value) > 6 * cut)
        )
        block.cut = block.cut or text.is_cut
        if block.cut:
            shown = block.content = _cut(shown, cut) if text.kind == "markdown" else shown[:cut]
        if block.cut or flat:
            block.href = f"{address}{'&' if '?' in address else '?'}part={text.path}"
            block.part = self.reading.part(block.href)
        if text.kind == "json":
            block.content = visible_json(block.content)
        elif text.kind == "markdown" and shown and not self.reading.raw:
            block.content, block.style = markdown(shown, self._budget), "prose"
        return block

    def _link(self, run_id: str, position: int | None = None) -> str:
        """Return the address of the page that begins with a run, with the run's anchor."""
        key = ids.encode(run_id)
        # of several runs with one id the position tells which
        at = {} if position is None else {"at": str(position)}
        return f"{self.reading.link(run=key, **at)}#run-{key}"

    def _run_address(self, row: StoredRun) -> str:
        # not by `reverse`, which is slow for a page of many runs
        address = f"{self.reading.address}runs/{ids.encode(row.run_id or '')}/"
        return address if row.position is None else f"{address}?at={row.position}"

    def _anchor(self, kind: str, stored_id: str) -> str:
        """Return the anchor of an id, "" without an id; from its second use on the page a number is added."""
        if not stored_id:
            return ""
        anchor = f"{kind}-{ids.encode(stored_id)}"
        number = self._anchors[anchor] = self._anchors.get(anchor, 0) + 1
        return anchor if number == 1 else f"{anchor}-{number}"


def whole_block(text: Text, raw: bool) -> Block:
    """Return a whole text as a block; Markdown is rendered unless it is too long or `raw` is on."""
    if text.kind == "markdown" and not raw:
        return Block(markdown(text.value), "prose", text.size)
    return Block(visible_json(text.shown) if text.kind == "json" else text.shown, _STYLES[text.kind], text.size)


def _facts(call: ToolCall) -> str:
    """Write how long a call took and how large its result is, as far as that is known."""
    facts = [] if call.seconds is None else [duration(call.seconds)]
    return " · ".join([*facts, size(call.size)] if call.result else facts)


def _cut(text: str, cut: int) -> str:
    """Cut prose to `cut` characters, or at the last end of a paragraph in the second half of them."""
    end = text.rfind("\n\n", cut // 2, cut)
    return text[: end if end > 0 else cut]


def _leads_back(row: StoredRun, by_id: dict[str, StoredRun]) -> bool:
    """Tell whether a run has a loop among its ancestors, which stored runs may have."""
    seen = {row.run_id}
    parent = by_id.get(row.parent_run_id or "")
    while parent is not None:
        if parent.run_id in seen:
            return True
        seen.add(parent.run_id)
        parent = by_id.get(parent.parent_run_id or "")
    return False
