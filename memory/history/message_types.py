"""A stored message as Agno reads it: the fields and types of its model. Pure.

Agno turns a message down by pydantic's rules (a `created_at` of "5" is a number, of "5.5" it is none), so they are
asked here too.
"""

from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel

from memory.history.media_types import Audio, File, Image, StoredFile, Video
from memory.history.question import Generation


class References(BaseModel):
    query: str
    references: list[dict[str, Any] | str] | None = None
    time: float | None = None


class _Url(BaseModel):
    url: str | None = None
    title: str | None = None


class _Document(BaseModel):
    document_title: str | None = None
    cited_text: str | None = None
    file_name: str | None = None


class Citations(BaseModel):
    search_queries: list[str] | None = None
    urls: list[_Url] | None = None
    documents: list[_Document] | None = None


class _NextAction(StrEnum):
    CONTINUE = "continue"
    VALIDATE = "validate"
    FINAL_ANSWER = "final_answer"
    RESET = "reset"


class ReasoningStep(BaseModel):
    title: str | None = None
    action: str | None = None
    result: str | None = None
    reasoning: str | None = None
    next_action: _NextAction | None = None
    confidence: float | None = None


class StoredMessage(BaseModel):
    """What is checked of a message; its metrics and the arguments of its tool may be anything."""

    role: str
    id: str = ""
    content: list[Any] | str | None = None
    compressed_content: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    audio: list[Audio] | None = None
    images: list[Image] | None = None
    videos: list[Video] | None = None
    files: list[File] | None = None
    audio_output: Audio | None = None
    image_output: Image | None = None
    video_output: Video | None = None
    file_output: StoredFile | None = None
    redacted_reasoning_content: str | None = None
    provider_data: dict[str, Any] | None = None
    citations: Citations | None = None
    reasoning_content: str | None = None
    tool_name: str | None = None
    tool_call_error: bool | None = None
    stop_after_tool_call: bool = False
    add_to_agent_memory: bool = True
    from_history: bool = False
    references: References | None = None
    created_at: int = 0
    temporary: bool = False


class StoredMessage29(StoredMessage):
    """A message as Agno reads it from 2.9 on."""

    checkpoint_status: str | None = None
    checkpoint_created_at: int | None = None


_MESSAGES: Final[dict[Generation, type[StoredMessage]]] = {
    Generation.V2_5: StoredMessage,
    Generation.V2_9: StoredMessage29,
    Generation.V3: StoredMessage29,
}


def read_message(value: Any, generation: Generation) -> StoredMessage:
    """Read a stored message; raises ValueError for one that Agno cannot read."""
    return _MESSAGES[generation].model_validate(value, context=generation)
