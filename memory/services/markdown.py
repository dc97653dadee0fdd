"""A thread as Markdown, for a ticket or a colleague: what was said, and tool calls with their results."""

import re
from collections.abc import Iterator
from typing import Final

from memory.query import Row, long_statements
from memory.transcript import session_row
from memory.transcript.json_text import unescape
from memory.transcript.model import Media, Message, Part, Run, Text, ToolCall
from memory.transcript.place import Place
from memory.transcript.runs import LIMIT, OLDEST, list_runs
from memory.transcript.stored import StoredRun
from studio.formats import counted, date_and_minute, duration, moment, size
from studio.visible import visible, visible_json

# characters of JSON
_INDENTED: Final = 1_200
_FENCES: Final = re.compile("`{3,}")
# HTML, and pictures, which whoever opens the file would fetch
_LIVE: Final = re.compile(r"(\\*)(<(?=[A-Za-z/!?])|(?<=!)\[)")
# what would end a heading, or begin something else within a line
_SIGNS: Final = re.compile(r"([\\`*_\[\]<>#|~])")


def thread_markdown(thread: Row) -> Iterator[str]:
    """Yield the Markdown of a thread, a row of get_thread, run by run, oldest first.

    What was said is quoted, and its HTML and pictures are only text, so that nothing can look like a part of the file,
    and nothing is fetched by who opens it. The bytes of files are not in it.
    """
    summary = session_row.get_summary(thread["session_id"]) if thread["has_summary"] else None
    yield _head(thread, summary.text if summary else "")
    here: Place | None = None
    # system messages, which most runs repeat
    told: set[str] = set()
    while True:
        with long_statements():
            page = list_runs(thread, here, LIMIT, OLDEST)
        for stored in page.runs:
            yield _run(stored, thread["user_id"], told)
        if page.newer is None:
            return
        here = Place.read(page.newer)


def _head(thread: Row, summary: str) -> str:
    facts = [
        f"Thread: {_inline(thread['session_id'])}",
        f"Owner: {_inline(thread['user_id']) if thread['user_id'] else 'none'}",
        f"Created: {_when(thread['created_at'])}",
        f"Last activity: {_when(thread['last_at'])}",
        counted(thread["runs"], "run"),
    ]
    head = f"# {_inline(thread['title'])}\n\n" + "".join(f"- {fact}\n" for fact in facts)
    return head + (f"\n**Summary**\n\n{_quoted(summary)}" if summary else "")


def _run(stored: StoredRun, owner: str | None, told: set[str]) -> str:
    run = stored.run
    repeated = [one for one in run.messages if one.role == "system" and one.text.value in told]
    told.update(one.text.value for one in run.messages if one.role == "system")
    run.messages = [one for one in run.messages if one not in repeated]
    said = "".join(_parts_of(run))
    if stored.too_large:
        said += f"\nThis run holds {size(stored.bytes)} of JSON, too much for this file. Its JSON holds all of it.\n"
    return _heading(run, owner) + said


def _heading(run: Run, owner: str | None) -> str:
    speaker = owner if run.user_id is None else run.user_id
    who = (run.name or "unnamed") if run.is_sub_run or run.kind != "agent" else (speaker or "no user")
    kind = "sub-run " if run.is_sub_run else "" if run.kind == "agent" else f"{run.kind} "
    facts = [_when(run.created_at), kind + _inline(who), _inline(run.model), _inline(run.status.lower())]
    return f"\n## {' · '.join(fact for fact in facts if fact)}\n"


def _parts_of(run: Run) -> Iterator[str]:
    if run.problem:
        yield f"\nThis run cannot be shown. {run.problem}\n"
    answer = run.answer
    for message in run.messages:
        if message is not answer:
            yield from _message(message)
    if run.hidden:
        yield f"\n{counted(run.hidden, 'message')} copied from earlier turns, not repeated here.\n"
    if run.unread:
        yield f"\nThis run holds {counted(run.unread, 'more message')} than this file shows. They are in its JSON.\n"
    for step in run.steps:
        yield f"\n**Step {_inline(step.name or 'without a name')}**{' failed' if step.failed else ''}\n\n"
        yield _text(step.text) + _rest(step.media, step.parts)
    for member in run.members:
        yield f"\n### {_inline(member.name or 'unnamed')}\n"
        yield from _parts_of(member)
    if answer:
        yield from _message(answer)
    if run.media:
        yield _rest(run.media, [])
    yield from _beside(run)
    if run.note:
        yield f"\n**{'The run failed' if run.status == 'ERROR' else 'Note'}**\n\n{_text(run.note)}"


def _beside(run: Run) -> Iterator[str]:
    """Yield what the answer cites, what the model was given, and what is proposed next."""
    if run.sources:
        yield "\n**Sources**\n\n" + "".join(f"- {_inline(f'{one.title} {one.url}')}\n" for one in run.sources)
    if run.searches:
        yield "\n**Searched for**\n\n" + "".join(f"- {_inline(one)}\n" for one in run.searches)
    for one in run.references:
        yield f"\n**Given to the model: {_inline(one.name or 'a text without a name')}**\n\n{_text(one.text)}"
    if run.followups:
        yield "\n**Proposed next**\n\n" + "".join(f"- {_inline(one)}\n" for one in run.followups)


def _message(message: Message) -> Iterator[str]:
    if message.reasoning:
        yield f"\n**Reasoning**\n\n{_text(message.reasoning)}"
    if message.redacted:
        yield f"\n{size(message.redacted)} of reasoning, which only its provider can read.\n"
    if message.text or message.media or message.parts:
        yield f"\n**{_inline(message.role or 'unknown')}**\n\n"
        yield _text(message.text) + _rest(message.media, message.parts)
    for call in message.calls:
        yield _call(call)


def _call(call: ToolCall) -> str:
    facts = [call.status if call.status != "none" else "no result"]
    facts += [] if call.seconds is None else [duration(call.seconds)]
    head = f"\n**Tool call {_inline(call.name or 'without a name')}** ({', '.join(facts)})\n\n"
    result = f"\nResult:\n\n{_text(call.result)}" if call.result else ""
    return head + _text(call.args) + result + _rest(call.media, call.parts)


def _rest(media: list[Media], parts: list[Part]) -> str:
    texts = [f"{_inline(part.kind)} {_inline(part.name)}\n\n{_text(part.text)}" for part in parts]
    files = [f"- {_inline(_file(one))}\n" for one in media]
    return "".join(texts) + ("\n" + "".join(files) if files else "")


def _file(one: Media) -> str:
    facts = [one.mime or one.kind, one.name, "" if one.size is None else size(one.size)]
    return " · ".join(fact for fact in facts if fact)


def _text(text: Text) -> str:
    if not text:
        return ""
    cut = f"\nCut, {size(text.size)} in all.\n" if text.is_cut else ""
    if text.kind != "json":
        return _quoted(text.value) + cut
    # indented, a long one has a line for each number
    shown = text.shown if len(text.value) <= _INDENTED else unescape(text.value)
    return _fenced(visible_json(shown)) + cut


def _quoted(text: str) -> str:
    # each backslash before it is escaped too, or it would escape ours
    harmless = _LIVE.sub(r"\1\1\\\2", text)
    return "".join(f"> {line}\n" if line else ">\n" for line in harmless.splitlines() or [""])


def _fenced(text: str) -> str:
    longest = max((len(found) for found in _FENCES.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}json\n{text}\n{fence}\n"


def _inline(text: str | None) -> str:
    """Write a short text on one line in which no sign means anything."""
    return _SIGNS.sub(r"\\\1", " ".join(visible(text or "").split()))


def _when(value: object) -> str:
    at = moment(value)
    return "" if at is None else date_and_minute(at)
