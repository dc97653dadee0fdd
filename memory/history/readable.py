"""Which stored runs Agno can read. One value that it cannot read makes the whole thread unreadable. Pure.

Each function reads what Agno's `from_dict` reads, in the same way, and raises one of UNREADABLE where that fails.
What Agno passes over may be anything.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from memory.history.message_types import Citations, ReasoningStep, References, StoredMessage, read_message
from memory.history.question import Generation

# pydantic's ValidationError is a ValueError
UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError)

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


def read_run(run: Any, generation: Generation) -> tuple[dict[str, Any], list[StoredMessage]] | None:
    """Return the fields of a run and its messages; None for one that Agno passes over, as workflows' runs.

    What Agno takes out of the run is taken out here, too: read again, the run has no messages.
    """
    if "agent_id" in run:
        fields = dict(_object(run.pop("run"))) if "run" in _object(run) else run
    elif "team_id" in run:
        fields = _object(run)
    else:
        return None
    is_team = "agent_id" not in run
    _events(fields.pop("events", None), generation)
    messages = [read_message(one, generation) for one in fields.pop("messages", None) or []]
    if is_team:
        _members(fields.pop("member_responses", None), generation)
    elif fields.get("compaction") and generation is Generation.V3:
        _object(fields.pop("compaction"))
    _beside(fields, generation)
    return fields, messages


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value


def _beside(fields: dict[str, Any], generation: Generation) -> None:
    """Read what a run has beside its messages, in Agno's words for it."""
    if citations := fields.pop("citations", None):
        Citations.model_validate(citations)
    for tool in fields.pop("tools", None) or []:
        _tool(tool)
    _requirements(fields.pop("requirements", None))
    for name in ("images", "videos", "audio", "files"):
        _each(fields.pop(name, None))
    if given := fields.pop("input", None):
        for name in ("images", "videos", "audios", "files"):
            _each(_object(given).get(name))
    if metrics := fields.pop("metrics", None):
        _metrics(_object(metrics))
    for name in ("additional_input", "reasoning_messages"):
        for message in _some(fields.pop(name, None)):
            read_message(message, generation)
    _models(fields.pop("reasoning_steps", None), ReasoningStep)
    _models(fields.pop("references", None), References)


def _some(value: Any) -> Iterator[Any]:
    """Yield what a value that is not null has in it."""
    return iter(()) if value is None else iter(value)


def _each(value: Any) -> None:
    """Walk through a value as Agno does that passes over what it cannot read in it."""
    iter(value or ())


def _models(value: Any, kind: type[BaseModel]) -> None:
    for one in _some(value):
        kind.model_validate(one)


def _members(value: Any, generation: Generation) -> None:
    for member in value or []:
        # what is no agent's is a team's, here
        read_run({**_object(member)} if "agent_id" in member else {"team_id": None, **_object(member)}, generation)


def _metrics(metrics: dict[str, Any]) -> None:
    if metrics.get("details") is not None:
        for models in _object(metrics["details"]).values():
            iter(models)


def _tool(tool: Any) -> None:
    fields = _object(tool)
    for field in fields.get("user_input_schema") or []:
        _needs(field, "field_type", "name", "description", "value")
    for question in fields.get("user_feedback_schema") or []:
        _question(question)
    if fields.get("metrics"):
        _object(fields["metrics"])


def _needs(value: Any, *names: str) -> None:
    for name in names:
        value[name]


def _question(question: Any) -> None:
    for option in _some(question.get("options")):
        if isinstance(option, dict):
            _needs(option, "label")
    _needs(question, "question")


def _requirements(value: Any) -> None:
    for one in _some(value):
        if isinstance(one, dict):
            if isinstance(one.get("tool_execution"), dict):
                _tool(one["tool_execution"])
            for field in _some(one.get("user_input_schema")):
                if isinstance(field, dict):
                    _needs(field, "field_type", "name", "description", "value")
            for question in _some(one.get("user_feedback_schema")):
                if isinstance(question, dict):
                    _question(question)


def _events(events: Any, generation: Generation) -> None:
    for event in events or []:
        kinds = _AGENT_EVENTS[generation]
        if "agent_id" not in event:
            kinds = kinds | _TEAM_EVENTS
        if _object(event).get("event", "") not in kinds:
            raise ValueError("unknown event")
        _event(event, generation)


def _event(event: dict[str, Any], generation: Generation) -> None:
    """Read what an event holds of a run."""
    if event.get("tool"):
        _tool(event["tool"])
    for tool in event.get("tools") or []:
        _tool(tool)
    _requirements(event.get("requirements"))
    for name in ("additional_input", "reasoning_messages"):
        for message in _some(event.get(name)):
            read_message(message, generation)
    _models(event.get("reasoning_steps"), ReasoningStep)
    _models(event.get("references"), References)
    if event.get("metrics"):
        _metrics(_object(event["metrics"]))
