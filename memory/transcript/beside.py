"""What a run holds beside its messages: its input, its answer, why it failed, and what it is based on."""

from typing import Any, Final

from memory.transcript.content import Content
from memory.transcript.media import field_media, spoken
from memory.transcript.model import Message, Reference, Run
from memory.transcript.parts import read_content
from memory.transcript.sources import read_documents, read_followups, read_searches, read_sources, unique
from memory.transcript.text_ids import TextIds, beginning
from memory.transcript.values import as_dict, as_list, as_time, string

_FAILED: Final = ("ERROR", "CANCELLED")
# of a large run only so many are read from Postgres
_LAST_EVENTS: Final = 10


def add_beside(run: Run, value: dict[str, Any], text_ids: TextIds) -> None:
    """Add what is stored outside the messages, unless a message has it."""
    _add_input(run, value, text_ids)
    answer = read_content(value.get("content"))
    _add_answer(run, value, answer, text_ids)
    _add_spoken(run, value, text_ids)
    said = [one for message in run.messages for one in message.media]
    run.media = [one for one in field_media(value) if one.kind != "audio" or one not in said]
    _add_sources(run, value, answer, text_ids)


def words(found: Content, holder: dict[str, Any]) -> str:
    """Return the text of a message or an answer, with what is said in its recordings."""
    return "\n\n".join(filter(None, [found.text, *(one for one in spoken(holder) if one not in found.text)]))


def shape(found: Content, role: str) -> str:
    return "markdown" if role == "assistant" and found.kind == "text" else found.kind


def stated_reasoning(holder: dict[str, Any]) -> str:
    """Return the reasoning that stands in a field of a message or a run."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if holder.get(name) and (text := read_content(holder[name]).text):
            return text
    steps = [as_dict(step) for step in as_list(holder.get("reasoning_steps"))]
    names = ("title", "reasoning", "action", "result")
    return "\n\n".join("\n".join(filter(None, (string(step.get(name)) for name in names))) for step in steps)


def _add_input(run: Run, value: dict[str, Any], text_ids: TextIds) -> None:
    if any(message.role == "user" for message in run.messages):
        return
    given = value.get("input")
    holder = as_dict(given)
    found = read_content(holder.get("input_content", given))
    found.media += field_media(holder)
    text = words(found, holder)
    if text or found:
        # a system message always comes first
        place = 1 if run.messages and run.messages[0].role == "system" else 0
        said = Message("", "user", text_ids.text(text, found.kind), media=found.media)
        said.parts = found.parts(text_ids.text)
        run.messages.insert(place, said)


def _add_answer(run: Run, value: dict[str, Any], found: Content, text_ids: TextIds) -> None:
    """Add the answer and its reasoning, or the reason why a run failed."""
    answer = words(found, value)
    reasoning = "\n\n".join(filter(None, [*found.thinking, stated_reasoning(value)]))
    told = [one for one in run.messages if one.role == "assistant"]
    answers = [one for one in told if one.text or one.parts]
    is_new = bool(answer or found.pieces) or not any(one.media for one in told)
    if run.status in _FAILED:
        reason = answer or _reason(value)
        if reason and not any(one.text.value == beginning(reason)[0] for one in answers):
            run.note = text_ids.text(reason, found.kind if answer else "text")
    elif (answer or found) and is_new and not answers:
        said = Message("", "assistant", text_ids.text(answer, shape(found, "assistant")), media=found.media)
        said.created_at, said.redacted = as_time(value.get("created_at")), found.redacted
        said.parts = found.parts(text_ids.text)
        run.messages.append(said)
        answers = [said]
    if reasoning and answers and not any(message.reasoning for message in run.messages):
        answers[-1].reasoning = text_ids.text(reasoning)


def _add_spoken(run: Run, value: dict[str, Any], text_ids: TextIds) -> None:
    """Add what the run's recordings say and no message does."""
    for one in spoken(value) if run.status not in _FAILED else []:
        if not any(beginning(one)[0] in message.text.value for message in run.messages):
            run.messages.append(Message("", "assistant", text_ids.text(one)))


def _add_sources(run: Run, value: dict[str, Any], answer: Content, text_ids: TextIds) -> None:
    """Add what the answer cites, what the model was given, and what may be asked next."""
    run.sources = unique([*read_sources(value.get("citations")), *answer.sources])
    run.sources = unique([*run.sources, *(one for message in run.messages for one in message.sources)])
    run.searches = read_searches(value.get("citations"))
    run.followups = read_followups(value.get("followups"))
    own = [one for one in as_list(value.get("messages")) if as_dict(one).get("from_history") is not True]
    documents = read_documents(value.get("references"))
    documents = documents or [found for one in own for found in read_documents(as_dict(one).get("references"))]
    run.references = [Reference(one.query, one.name, text_ids.text(one.text)) for one in text_ids.take(documents)]


def _reason(value: dict[str, Any]) -> str:
    """Return the reason why a run ended, from its last event with one."""
    for event in reversed(as_list(value.get("events"))[-_LAST_EVENTS:]):
        reason = as_dict(event).get("reason") or as_dict(event).get("error")
        if not reason and "error" in string(as_dict(event).get("event")).lower():
            reason = as_dict(event).get("content")
        if string(reason):
            return string(reason)
    return ""
