"""A stored thread, read once, that answers what the model is sent of it. Pure: it agrees with the real Agno.

The rules, in the order in which Agno comes to them: is there storage, does the speaker find the thread, can all of it
be read, which runs count, how many of them, which of their messages, and which tool calls a cap leaves.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from memory.history.agno_order import Ordered, Placed, Stored, in_order
from memory.history.answer import Answer, Fate, Outcome, SentMessage, Why
from memory.history.counted import Run, run_fate, unwrapped
from memory.history.question import Generation, Handle, Settings
from memory.history.readable import read_run
from memory.history.readable_parts import UNREADABLE, read_summary
from memory.history.tool_call_cap import GONE, cut
from memory.history.window import window


@dataclass(slots=True)
class Thread:
    """A thread as a reader of one generation sees it; `runs` are in Agno's order.

    `unreadable` names what Agno cannot read: a run, the column or the summary.
    """

    owner: str | None
    generation: Generation
    is_team: bool = False
    summary: Any = None
    session_data: Any = None
    metadata: Any = None
    runs: list[Run] = field(default_factory=list)
    left_out: list[Run] = field(default_factory=list)
    unreadable: str = ""

    @classmethod
    def read(cls, stored: Stored, generation: Generation, *, is_team: bool = False) -> "Thread":
        """Read a thread of any shape."""
        thread = cls.of_row(stored, generation, is_team=is_team)
        thread.read_runs(stored)
        return thread

    @classmethod
    def of_row(cls, stored: Stored, generation: Generation, *, is_team: bool = False) -> "Thread":
        """Read a thread's row; `read_runs` reads its runs, or `add` the newest of a long thread."""
        thread = cls(stored.owner, generation, is_team, stored.summary, stored.session_data, stored.metadata)
        try:
            read_summary(stored.summary)
        except UNREADABLE:
            thread.unreadable = "summary"
        return thread

    def read_runs(self, stored: Stored) -> None:
        """Read all runs of the thread."""
        try:
            found = in_order(stored, self.generation, self.is_team)
        except UNREADABLE:
            self.unreadable = "column"
            found = _all(stored)
        self.left_out = [Run(key, _outline(data), fate=_left_out(replaced)) for key, data, replaced in found.left_out]
        self.add(found.runs)

    def add(self, placed: Iterable[Placed]) -> None:
        """Read further runs of the thread, in Agno's order."""
        for one in placed:
            stored = _outline(one.data)
            try:
                one.data = dict(one.data) if isinstance(one.data, dict) else one.data
                read = read_run(one.data, self.generation)
            except UNREADABLE:
                self.unreadable = self.unreadable or one.key
                self.runs.append(Run(one.key, stored, fate=Fate.UNREADABLE))
                continue
            if read is None:
                self.runs.append(Run(one.key, stored, fate=Fate.NOT_AGNOS))
                continue
            fields, messages = read
            copies = frozenset(n for n, message in enumerate(messages) if message.from_history)
            self.runs.append(
                Run(one.key, stored if messages else [], copies, run_fate(fields, self.generation, self.is_team))
            )

    @property
    def countable(self) -> list[Run]:
        """The runs that a depth counts, oldest first."""
        return [run for run in self.runs if run.fate is None]

    def answer(self, settings: Settings, speaker: str | None = None, handle: Handle = Handle.ASYNC) -> Answer:
        """Tell what the model is sent at the next turn of a speaker, or of nobody."""
        outcome, why = self._found(settings, speaker, handle)
        if not why:
            why = self._fault(settings, handle)
        try:
            sent = list(self._sent(settings)) if not why and settings.add_history_to_context else []
        except TypeError:
            why, sent = Why.TOOL_CALL_ID, []
        if why and outcome is Outcome.SENT:
            outcome = Outcome.FAILED
        summary = self.summary["summary"] if not why and settings.session_summaries and self.summary else None
        unreadable = self.unreadable if why is Why.UNREADABLE else ""
        return Answer(outcome, why, sent, summary, unreadable, lambda: self._fates(settings, sent, why))

    def _found(self, settings: Settings, speaker: str | None, handle: Handle) -> tuple[Outcome, Why]:
        """Tell whether Agno finds and reads the thread, and what a turn does to one that it does not."""
        new = self.generation is Generation.V3
        if not settings.session_storage:
            return Outcome.NOT_STORED, Why.STORAGE_OFF
        if speaker is not None and speaker != self.owner:
            if self.owner is None:
                return Outcome.SUMMARY_LOST if new else Outcome.BEGUN_ANEW, Why.NO_OWNER
            return Outcome.KEPT_APART if new else Outcome.TURN_LOST, Why.ANOTHER_OWNER
        if self.unreadable:
            if new:
                return Outcome.FAILED if handle is Handle.SYNC else Outcome.SUMMARY_LOST, Why.UNREADABLE
            return Outcome.BEGUN_ANEW, Why.UNREADABLE
        return Outcome.SENT, Why.NONE

    def _fault(self, settings: Settings, handle: Handle) -> Why:
        """Tell what of the thread's row makes the run fail before the model is called."""
        if self.session_data is not None and not isinstance(self.session_data, dict):
            return Why.SESSION_DATA
        # with an async handle the model is called before they are looked at
        if handle is Handle.SYNC and not _is_usable_metadata(self.metadata, self.generation):
            return Why.METADATA
        if settings.session_summaries and self.summary is not None:
            text = self.summary.get("summary") if isinstance(self.summary, dict) else None
            return Why.NONE if isinstance(text, str) else Why.SUMMARY
        return Why.NONE

    def _sent(self, settings: Settings) -> Iterator[SentMessage]:
        """Yield the messages of the window, with a cap's calls cut."""
        within = window(self.countable, settings, self.generation)
        cap = settings.max_tool_calls_from_history
        values = [run.messages[n] for run, n in within]
        kept = [None] * len(within) if cap is None else cut(values, cap)
        for (run, n), value, calls in zip(within, values, kept, strict=True):
            if calls is None:
                yield SentMessage(run.key, n, value)
            elif calls != GONE:
                left = [value["tool_calls"][call] for call in calls] or None
                yield SentMessage(run.key, n, value | {"tool_calls": left}, calls)

    def _fates(self, settings: Settings, sent: list[SentMessage], why: Why) -> dict[str, list[Fate]]:
        """Give every stored message its fate."""
        fates: dict[str, list[Fate]] = {}
        hidden = settings.hidden_role
        usual = Fate.NOTHING_SENT if why else Fate.BEYOND
        for run in [*self.left_out, *self.runs]:
            own = [_message_fate(run, n, hidden, usual) for n in range(len(run.messages))]
            # one that comes twice has no messages the second time
            fates.setdefault(run.key, [Fate.UNREADABLE] * len(own) if self.unreadable else own)
        if not why and settings.add_history_to_context:
            for run, n in window(self.countable, settings, self.generation):
                fates[run.key][n] = Fate.RESULT_DROPPED
        for message in sent:
            fates[message.run][message.place] = Fate.SENT if message.calls is None else Fate.CALLS_CUT
        return fates


def _message_fate(run: Run, n: int, hidden: str | None, usual: Fate) -> Fate:
    if run.fate is not None:
        return run.fate
    if n in run.copies:
        return Fate.COPY
    return Fate.INSTRUCTIONS if run.messages[n]["role"] in ("system", hidden) else usual


def _left_out(replaced: bool) -> Fate:
    # an element whose row stands in for it is a copy
    return Fate.COPY if replaced else Fate.NOT_AGNOS


def _outline(data: Any) -> list[Any]:
    """Return the messages of a run as stored, of an early wrapping those of the run in it."""
    if not isinstance(data, dict):
        return []
    messages = unwrapped(data).get("messages")
    return messages if isinstance(messages, list) else []


def _all(stored: Stored) -> Ordered:
    """Return all runs of a thread whose list of runs cannot be read."""
    column = stored.column if isinstance(stored.column, list) else []
    runs = [Placed(f"c{n}", data) for n, data in enumerate(column)]
    return Ordered(runs + [Placed(f"t{n}", row.data) for n, row in enumerate(stored.table or ())])


def _is_usable_metadata(metadata: Any, generation: Generation) -> bool:
    if metadata is None or isinstance(metadata, dict):
        return True
    if generation is Generation.V3:
        # it is merged key by key, as if a list were an object
        numbers = metadata if isinstance(metadata, list) else None
        return metadata == "" or (
            numbers is not None and all(isinstance(n, int) and -len(numbers) <= n < len(numbers) for n in numbers)
        )
    return isinstance(metadata, list) and all(isinstance(one, str) for one in metadata)
