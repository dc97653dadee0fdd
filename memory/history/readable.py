"""Which stored runs Agno can read. One value that it cannot read makes the whole thread unreadable. Pure."""

from typing import Any

from memory.history.message_types import Citations, StoredMessage, read_message
from memory.history.question import Generation
from memory.history.readable_events import read_events
from memory.history.readable_parts import (
    as_object,
    pass_over,
    read_input,
    read_metrics,
    read_reasoning,
    read_requirements,
    read_tool,
)


def read_run(run: Any, generation: Generation) -> tuple[dict[str, Any], list[StoredMessage]] | None:
    """Return the fields of a run and its messages; None for one that Agno passes over, as workflows' runs.

    What Agno takes out of the run is taken out of it here, too: read again, it has no messages. Raises one of
    UNREADABLE.
    """
    if "agent_id" in run:
        # an early wrapping
        fields = dict(as_object(run.pop("run"))) if "run" in as_object(run) else run
    elif "team_id" in run:
        fields = as_object(run)
    else:
        return None
    is_team = "agent_id" not in run
    read_events(fields.pop("events", None), generation, lambda members: _members(members, generation))
    messages = [read_message(one, generation) for one in fields.pop("messages", None) or []]
    if is_team:
        _members(fields.pop("member_responses", None), generation)
    elif generation is Generation.V3 and (record := fields.pop("compaction", None)):
        as_object(record)
    _beside(fields, generation)
    return fields, messages


def _beside(fields: dict[str, Any], generation: Generation) -> None:
    """Read what a run has beside its messages."""
    if citations := fields.pop("citations", None):
        Citations.model_validate(citations)
    for tool in fields.pop("tools", None) or []:
        read_tool(tool, generation)
    read_requirements(fields.pop("requirements", None), generation)
    for name in ("images", "videos", "audio", "files"):
        pass_over(fields.pop(name, None))
    read_input(fields.pop("input", None), "images", "videos", "audios", "files")
    read_metrics(fields.pop("metrics", None))
    read_reasoning(fields, generation)
    for name in ("additional_input", "reasoning_messages", "reasoning_steps", "references"):
        fields.pop(name, None)


def _members(value: Any, generation: Generation) -> None:
    for member in value or []:
        # what is no agent's is a team's, here
        read_run({**as_object(member)} if "agent_id" in member else {"team_id": None, **as_object(member)}, generation)
