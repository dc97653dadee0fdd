"""What an answer about a thread says: what the model is sent, what becomes of the thread, and why. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any


class Outcome(StrEnum):
    """What the next turn does to the thread."""

    SENT = "sent"
    FAILED = "failed"  # before the model is called
    NOT_STORED = "not stored"
    BEGUN_ANEW = "begun anew"  # all earlier runs are gone, the speaker is the owner
    TURN_LOST = "turn lost"  # the thread stays as it was
    KEPT_APART = "kept apart"  # the turn is a row with run_index 0, before all others
    SUMMARY_LOST = "summary lost"  # runs stay; summary, name, state and metadata are gone


class Why(StrEnum):
    """Why nothing is sent."""

    NONE = ""
    STORAGE_OFF = "storage off"
    ANOTHER_OWNER = "another owner"
    NO_OWNER = "no owner"
    UNREADABLE = "unreadable"
    SESSION_DATA = "session_data"
    METADATA = "metadata"
    SUMMARY = "summary"
    TOOL_CALL_ID = "id of a tool call"


class Fate(StrEnum):
    """What becomes of a stored message at the next turn."""

    SENT = "sent"
    RESULT_DROPPED = "result dropped"  # so is a message that holds nothing but calls of dropped results
    CALLS_CUT = "calls cut"  # it is sent, with fewer calls or none
    BEYOND = "beyond the depth"
    COPY = "copy"
    INSTRUCTIONS = "instructions"
    SUB_RUN = "sub-run"
    ENDED_BADLY = "ended badly"
    NOT_AGNOS = "not Agno's"
    UNREADABLE = "unreadable"
    NOTHING_SENT = "nothing is sent"  # it would be, but for what `Why` says


IS_SENT = frozenset({Fate.SENT, Fate.CALLS_CUT})


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message as it is sent. `calls` are the places of the calls that are left, None if none was cut."""

    run: str
    place: int
    value: dict[str, Any]
    calls: tuple[int, ...] | None = None

    @property
    def key(self) -> str:
        return f"{self.run}.{self.place}"


@dataclass(frozen=True)
class Answer:
    """What the model is sent at the next turn; `unreadable` is what Agno cannot read, such as c3 or summary."""

    outcome: Outcome
    why: Why = Why.NONE
    messages: list[SentMessage] = field(default_factory=list)
    summary: str | None = None
    unreadable: str = ""
    _fates: Callable[[], dict[str, list[Fate]]] = field(default=dict, repr=False)

    @cached_property
    def fates(self) -> dict[str, list[Fate]]:
        """The fate of every stored message, by the key of its run, in stored order."""
        return self._fates()

    @cached_property
    def runs(self) -> frozenset[str]:
        """The keys of the runs of which a message is sent."""
        return frozenset(message.run for message in self.messages)
