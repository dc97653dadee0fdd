"""Schemas of memory settings, threads, runs and messages. Times are epoch seconds."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from ninja import Field, Path, Query, Schema
from pydantic import BeforeValidator, ConfigDict, WithJsonSchema, create_model

from studio.agents.memory_settings import SETTINGS, Setting
from studio.api.schemas import Text, setting_fields

T = TypeVar("T")

SessionId = Annotated[
    str, Path(description="id of a thread, encoded as the introduction says", examples=["order-72", "~b3JkZXIgNy8y"])
]
Cursor = Annotated[str, Query(max_length=8000, description="next or previous of a page")]


def _seconds(value: Any) -> Any:
    """Read epoch seconds, or a date or time in ISO 8601, in UTC unless it has another zone."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]+", value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be epoch seconds, or a date or time in ISO 8601") from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return value


Moment = Annotated[
    int,
    BeforeValidator(_seconds),
    Field(ge=-(2**63), le=2**63 - 1),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, {"type": "string"}],
            "examples": ["2026-01-31", 1769817600],
        }
    ),
]


class Page(Schema, Generic[T]):
    """One page of a list; `next` is null on the last one."""

    items: list[T]
    next: str | None
    previous: str | None


class CountedPage(Page[T], Generic[T]):
    """`behind` is how many seconds old the list is, 0 if it is exact now.

    `not_indexed` is how many threads it may lack, or show as they were, because they are not counted yet or could not
    be.
    """

    total: int
    total_is_exact: bool
    behind: float
    not_indexed: int


# what stands for an id that no list gives whole
_LONG_ID = "for an id of more than 4 KB, ~. and a hash, which goes wherever the id goes"


class User(Schema):
    user_id: str = Field(description=_LONG_ID)
    threads: int
    runs: int
    first_seen: int
    last_seen: int


class Media(Schema):
    """A picture, recording, film or file: what it is, not its bytes. `size` is in bytes."""

    kind: str
    mime: str
    name: str
    size: int | None
    source: str = Field(description="where it is kept, if not in the thread")


class Content(Schema):
    content: str
    truncated: bool = Field(description="only the beginning is given; all of it is in the downloaded thread")


class Part(Content):
    """A part of a content that is no plain text; `name` is the address of a resource, or the type of another one."""

    kind: Literal["refusal", "resource", "result", "other"] = Field(description="other: of an unknown type, as JSON")
    name: str


class Call(Schema):
    id: str
    name: str
    arguments: str


class Message(Content):
    """A message, or (role `tool`) the result of a call. The system message and copies of earlier turns are left out.

    It is `truncated`, too, if its reasoning or the arguments of a call are. With the role `note` the studio says why a
    run failed, or why something of it is not given.
    """

    run_id: str
    agent: str = Field(description="in whose run it was said: the agent, team, workflow, or a workflow's step")
    id: str
    role: str = Field(description="user, assistant, tool, note, or any other that was stored")
    parts: list[Part] = Field(description="each part that is no plain text; the words of those known are in content")
    name: str
    reasoning: str | None
    redacted_reasoning: int | None = Field(description="bytes of reasoning that only its provider can read")
    created_at: int | None
    media: list[Media]
    tool_calls: list[Call]
    tool_call_id: str | None
    tool_name: str | None
    tool_call_error: bool | None


class Source(Schema):
    """What an answer cites; `text` is the place in it."""

    url: str
    title: str
    text: str


class Reference(Content):
    """A text that the model was given from a store of knowledge."""

    query: str
    name: str


class Step(Content):
    """What a step of a workflow gave back; why it failed, if it did."""

    name: str
    executor: str
    failed: bool
    parts: list[Part]
    media: list[Media]


class RunFacts(Schema):
    run_id: str
    parent_run_id: str | None
    kind: Literal["agent", "team", "workflow"]
    name: str
    user_id: str | None
    status: str
    created_at: int | None
    model: str
    provider: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    seconds: float | None
    first_token_seconds: float | None
    note: str | None = Field(description="why it failed or was cancelled")
    problem: str | None = Field(description="why its messages cannot be given")


class Run(RunFacts):
    bytes: int = Field(description="of the run's JSON, as stored")
    members: list[RunFacts] = Field(description="the runs inside it that are not listed themselves")
    steps: list[Step]
    sources: list[Source] = Field(description="what its answer cites, in the order of the numbers in it")
    searches: list[str] = Field(description="what was searched for")
    references: list[Reference]
    followups: list[str] = Field(description="what the agent proposes to ask next")
    media: list[Media] = Field(description="what it made, beside that of its messages")
    messages: list[Message] = Field(description="what was said in it and in the runs inside it")


class Thread(Schema):
    session_id: str = Field(description=f"in a list, {_LONG_ID}")
    url: str
    title: str = Field(description="with threads:read its name, else its first user message; else its id")
    name: str | None = Field(description="null without threads:read")
    session_type: str
    user_id: str | None = Field(description=f"the owner; in a list, {_LONG_ID}")
    users: list[str] = Field(description="the first few of those who take part, the owner first")
    users_count: int
    shared: bool
    runs: int
    messages: int
    tool_calls: int
    errors: int
    tokens: int
    input_tokens: int
    output_tokens: int
    last_status: str | None
    created_at: int | None = Field(description="in seconds, whatever is stored; null for what is no time")
    updated_at: int | None
    last_activity: int | None
    behind: float = Field(0, description="not in a list: seconds since the oldest write that is not counted yet")
    summary: str | None = Field(None, description="in a list only with include=runs")
    first_runs: Page[Run] | None = Field(
        None, description="only with include=runs, and then null where all together are too large"
    )


class ThreadQuery(Schema):
    user_id: Text | None = Field(None, description="threads that this user owns or took part in")
    part: Literal["", "owned", "joined"] = Field(
        "",
        description="with user_id: owned for those that the user owns, joined for those of others with a run of theirs",
    )
    q: Text = Field(
        "",
        max_length=1000,
        description="looked for in ids and users; with threads:read in names, titles and latest answers, too",
    )
    status: Text = Field("", max_length=100, description="of the last run", examples=["COMPLETED"])
    since: Moment | None = Field(None, description="last activity at or after")
    until: Moment | None = Field(None, description="last activity before")
    errors: bool = Field(False, description="only threads with an error")
    shared: bool = Field(False, description="only threads of more than one user")


def _whole(value: Any) -> Any:
    """Refuse true and "5", which pydantic would take for 1 and 5."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")  # noqa: TRY004 - a ValueError is what becomes 422
    return value


def _switch(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004
    return value


Switch = Annotated[bool, BeforeValidator(_switch)]
Whole = Annotated[int, BeforeValidator(_whole)]


def _optional(setting: Setting) -> Any:
    """Declare a field that may be left out, but not be null."""
    # a factory, because a default would stand in the OpenAPI description
    if setting.is_switch:
        return Switch, Field(default_factory=bool)
    return Whole, Field(default_factory=bool, ge=setting.least, le=setting.most)


class _Change(Schema):
    """Any subset of the settings; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")


if TYPE_CHECKING:
    Memory = Schema
    MemoryChange = Schema
else:
    Memory = create_model("Memory", __base__=Schema, version=(int, ...), updated_at=(datetime, ...), **setting_fields())
    MemoryChange = create_model(
        "MemoryChange",
        __base__=_Change,
        __doc__=_Change.__doc__,
        **{setting.name: _optional(setting) for setting in SETTINGS},
    )
