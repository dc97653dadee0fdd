"""The events that a run may store, by kind: a kind that a version does not know makes the thread unreadable. Pure."""

from collections.abc import Callable
from typing import Any, Final

from memory.history.media_types import Audio, Image, Video
from memory.history.question import Generation
from memory.history.readable_parts import (
    as_object,
    pass_over,
    read_input,
    read_metrics,
    read_models,
    read_reasoning,
    read_requirements,
    read_summary,
    read_tool,
    some,
)

_PAIRS: Final = (
    *("Compression", "Followups", "MemoryUpdate", "ModelRequest", "OutputModelResponse", "ParserModelResponse"),
    *("PostHook", "PreHook", "Reasoning", "SessionSummary", "ToolCall"),
)
_EVENTS: Final = frozenset(
    {
        *(f"{name}{end}" for name in _PAIRS for end in ("Started", "Completed")),
        *("ReasoningContentDelta", "ReasoningStep", "ToolCallError", "CustomEvent"),
        *(f"Run{one}" for one in ("Started", "Content", "ContentCompleted", "IntermediateContent", "Completed")),
        *(f"Run{one}" for one in ("Error", "Cancelled", "Paused", "Continued")),
    }
)
_AGENT_EVENTS: Final = {
    Generation.V2_5: _EVENTS,
    Generation.V2_9: _EVENTS,
    Generation.V3: _EVENTS | {"CompactionStarted", "CompactionCompleted"},
}
_TEAM_EVENTS: Final = frozenset(
    {
        *(f"Team{name}" for name in _EVENTS - {"CustomEvent"}),
        *(f"TeamTask{one}" for one in ("Created", "Updated", "StateUpdated", "IterationStarted", "IterationCompleted")),
    }
)
_MEDIA: Final = (("images", Image), ("videos", Video), ("audio", Audio))


def read_events(events: Any, generation: Generation, read_members: Callable[[Any], None]) -> None:
    for event in events or []:
        of_agent = "agent_id" in event
        kind = as_object(event).get("event", "")
        if kind not in _AGENT_EVENTS[generation]:
            if of_agent or kind not in _TEAM_EVENTS:
                raise ValueError("unknown event")
            read_members(event.get("member_responses"))
        _read_event(event, generation)


def _read_event(event: dict[str, Any], generation: Generation) -> None:
    tools = [event["tool"]] if event.get("tool") else []
    for tool in [*tools, *(event.get("tools") or [])]:
        read_tool(tool, generation)
    for name, kind in _MEDIA:
        read_models(event.get(name) or None, kind, generation)
    if event.get("response_audio"):
        Audio.model_validate(event["response_audio"], context=generation)
    if generation is Generation.V3:
        pass_over(event.get("files"))
        if event.get("image"):
            Image.model_validate(event["image"], context=generation)
    read_reasoning(event, generation)
    read_metrics(event.get("metrics"))
    if event.get("session_summary"):
        read_summary(as_object(event["session_summary"]))
    read_input(event.get("run_input"), "images", "videos", "audios", "files")
    read_requirements(event.get("requirements"), generation)
    some(event.get("tasks"))
