"""What is asked of a thread: who reads it, how, and with which settings. Pure."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, Self

DEFAULT_DEPTH: Final = 3
_CONVERSATION: Final = ("user", "assistant", "tool")


class Generation(StrEnum):
    """The versions of Agno that read threads differently."""

    V2_5 = "2.5"
    V2_9 = "2.9"
    V3 = "3.x"

    @classmethod
    def of(cls, version: str) -> "Generation":
        """Return the generation of a version, such as 2.5.14 or 3.1."""
        major, _, minor = version.partition(".")
        if major != "2":
            return cls.V3
        return cls.V2_9 if minor.partition(".")[0].isdigit() and int(minor.partition(".")[0]) >= 9 else cls.V2_5

    @classmethod
    def of_thread(cls, has_rows: bool) -> "Generation":
        """Return who wrote a thread last: one with a row in agno_runs was written by Agno 3."""
        return cls.V3 if has_rows else cls.V2_5


class Handle(StrEnum):
    """The database handle of an agent. xpander's is async."""

    ASYNC = "async"
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of an agent or a team, named as in Agno and the Memory tab. None is Agno's default.

    If both numbers are given, the one of runs wins; without both it is 3.
    """

    session_storage: bool = True
    add_history_to_context: bool = True
    num_history_runs: int | None = None
    num_history_messages: int | None = None
    max_tool_calls_from_history: int | None = None
    session_summaries: bool = False
    system_message_role: str | None = None

    @classmethod
    def of_tab(cls, saved: Any) -> Self:
        """Take the settings of the Memory tab as the SDK hands them on: its cap of 0 is none."""
        found = {field.name: getattr(saved, field.name) for field in fields(cls) if hasattr(saved, field.name)}
        return cls(**found | {"max_tool_calls_from_history": saved.max_tool_calls_from_history or None})

    @property
    def depth(self) -> int | None:
        """The number of runs, None if messages are counted instead."""
        if self.num_history_runs is None and self.num_history_messages is not None:
            return None
        return DEFAULT_DEPTH if self.num_history_runs is None else self.num_history_runs

    @property
    def hidden_role(self) -> str | None:
        """The role whose messages are never sent again; None if it takes part in the conversation."""
        role = "system" if self.system_message_role is None else self.system_message_role
        return None if role in _CONVERSATION else role or None
