"""What stands in runs and events beside messages, read as Agno's `from_dict` reads it. Pure.

Each raises one of UNREADABLE where Agno's own fails; what Agno passes over may be anything.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from memory.history.message_types import ReasoningStep, References, read_message
from memory.history.question import Generation

# pydantic's ValidationError is a ValueError
UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError)
_SUMMARY: Final = frozenset({"summary", "topics", "updated_at"})
_INPUT_FIELD: Final = ("field_type", "name", "description", "value")


def as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value


def some(value: Any) -> Iterator[Any]:
    """Yield what is in a value that is not null."""
    return iter(()) if value is None else iter(value)


def pass_over(value: Any) -> None:
    """Walk through a value as Agno does where it leaves out what it cannot read in it."""
    iter(value or ())


def read_models(value: Any, kind: type[BaseModel], generation: Generation) -> None:
    for one in some(value):
        kind.model_validate(one, context=generation)


def read_reasoning(fields: dict[str, Any], generation: Generation) -> None:
    """Read the four fields that a run and an event have in common."""
    for name in ("additional_input", "reasoning_messages"):
        for message in some(fields.get(name)):
            read_message(message, generation)
    read_models(fields.get("reasoning_steps"), ReasoningStep, generation)
    read_models(fields.get("references"), References, generation)


def read_input(given: Any, *media: str) -> None:
    if given:
        for name in media:
            pass_over(as_object(given).get(name))


def read_metrics(metrics: Any) -> None:
    details = as_object(metrics).get("details") if metrics else None
    if details is not None:
        for models in as_object(details).values():
            iter(models)


def read_summary(summary: Any) -> None:
    """Read a stored summary, unless it is no object."""
    if not isinstance(summary, dict):
        return
    if "summary" not in summary or not summary.keys() <= _SUMMARY:
        raise ValueError("fields of a summary")
    if summary.get("updated_at"):
        datetime.fromisoformat(summary["updated_at"])


def read_tool(tool: Any, generation: Generation) -> None:
    fields = as_object(tool)
    inputs, questions = fields.get("user_input_schema"), fields.get("user_feedback_schema")
    if generation is Generation.V2_5:
        inputs, questions = inputs or None, questions or None
    for one in some(inputs):
        _needs(one, *_INPUT_FIELD)
    for one in some(questions):
        _question(one)
    if fields.get("metrics"):
        as_object(fields["metrics"])


def read_requirements(value: Any, generation: Generation) -> None:
    for one in some(value):
        if isinstance(one, dict):
            if isinstance(one.get("tool_execution"), dict):
                read_tool(one["tool_execution"], generation)
            for field in some(one.get("user_input_schema")):
                if isinstance(field, dict):
                    _needs(field, *_INPUT_FIELD)
            for question in some(one.get("user_feedback_schema")):
                if isinstance(question, dict):
                    _question(question)


def _needs(value: Any, *names: str) -> None:
    for name in names:
        value[name]


def _question(question: Any) -> None:
    for option in some(question.get("options")):
        if isinstance(option, dict):
            _needs(option, "label")
    _needs(question, "question")
