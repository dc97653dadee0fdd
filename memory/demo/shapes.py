"""The small parts of a stored run: messages, tool executions and metrics, key by key as Agno writes them."""

import uuid
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bot:
    """The agent that answers, and which generation of Agno stores its runs."""

    agent_id: str
    name: str
    model: str
    model_class: str
    provider: str
    provider_label: str
    instructions: str
    # agno 2.5 keeps runs in a column of the session, 3.1 in a table
    layout: Literal["column", "table"]
    reasons: bool = False

    def model_data(self) -> Json:
        return {"id": self.model, "name": self.model_class, "provider": self.provider}


@dataclass(slots=True)
class Call:
    """One tool call and what came of it."""

    tool: str
    args: Json
    result: str
    error: bool = False
    id: str = ""
    seconds: float = 0.0
    child_run_id: str | None = None


@dataclass(slots=True)
class Usage:
    """Tokens of one model answer, or of several together."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def add(self, other: "Usage") -> None:
        self.input += other.input
        self.output += other.output
        self.cached += other.cached
        self.reasoning += other.reasoning

    def to_json(self) -> Json:
        """Write the counts as Agno does: those that are zero are left out."""
        counts = {
            "input_tokens": self.input,
            "output_tokens": self.output,
            "total_tokens": self.input + self.output,
            "cache_read_tokens": self.cached,
            "reasoning_tokens": self.reasoning,
        }
        return {name: count for name, count in counts.items() if count}

    def with_details(self, bot: Bot) -> Json:
        """Write the counts with the share of each model, as runs and sessions carry them."""
        model = {"id": bot.model, "provider": bot.provider_label, **self.to_json()}
        return {**self.to_json(), "details": {"model": [model]}}


@dataclass(slots=True)
class Turn:
    """One question with its answer, all text in place."""

    text: str
    at: float
    user_id: str | None = None
    reply: str = ""
    calls: list[Call] = field(default_factory=list)
    status: str = "COMPLETED"
    # the tool that waits for a person's yes, when the run is paused
    hold: Call | None = None
    error: str = ""
    members: list["Member"] = field(default_factory=list)
    media: Json = field(default_factory=dict)
    parts: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class Member:
    """A piece of work that the agent gave to another one."""

    id: str
    task: str
    answer: str
    call: Call


def new_id(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def tokens(text: str) -> int:
    """Estimate tokens: about four bytes of UTF-8 each."""
    return max(1, len(text.encode()) // 4)


def message(rng: Random, role: str, at: float, **more: Any) -> Json:
    return {
        "id": new_id(rng),
        "role": role,
        "created_at": int(at),
        "from_history": False,
        "stop_after_tool_call": False,
        **more,
    }


def tool_message(rng: Random, call: Call, at: float) -> Json:
    return message(
        rng,
        "tool",
        at,
        content=call.result,
        tool_args=call.args,
        tool_name=call.tool,
        tool_call_id=call.id,
        tool_call_error=call.error,
    )


def execution(bot: Bot, call: Call, at: float, *, waits: bool = False) -> Json:
    """One element of a run's `tools`; `waits` when a person has to confirm it first."""
    empty: list[Json] | None = [] if bot.layout == "column" and not waits else None
    shape: Json = {
        "result": None if waits else call.result,
        "metrics": None if waits else {"duration": call.seconds, "start_time": at, "end_time": at + call.seconds},
        "answered": None,
        "confirmed": None,
        "tool_args": call.args,
        "tool_name": call.tool,
        "created_at": int(at),
        "approval_id": None,
        "child_run_id": call.child_run_id,
        "tool_call_id": call.id,
        "approval_type": None,
        "tool_call_error": None if waits else call.error,
        "confirmation_note": None,
        "user_input_schema": empty,
        "requires_user_input": None,
        "stop_after_tool_call": False,
        "user_feedback_schema": empty,
        "requires_confirmation": True if waits else None,
        "external_execution_silent": None,
        "external_execution_required": None,
    }
    return shape if bot.layout == "column" else {**shape, "parent_tool_call_id": None}
