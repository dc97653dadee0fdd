"""Recorded turns of the real Agno, and whether the function says of them what happened. Pure.

A line of a file is a thread as stored and what it was asked: the question, and the answer that Agno gave.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from memory.history.agno_order import Stored, TableRow
from memory.history.answer import Answer, Outcome, SentMessage
from memory.history.question import Generation, Handle, Settings
from memory.history.thread import Thread

Json = dict[str, Any]

_HANDLES: Final = {"outcome": Handle.SYNC, "outcome_async": Handle.ASYNC}
_ANSWER: Final = frozenset({"outcome", "outcome_async", "sent", "summary", "session_found", "system_chars", "error"})


@dataclass(frozen=True, slots=True)
class Difference:
    """An ask whose answer is not the recorded one; `key` is outcome, outcome_async, sent or summary."""

    case: str
    ask: int
    question: Json
    key: str
    expected: Any
    got: Any


def read_cases(file: Path) -> Iterator[Json]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def stored(case: Json) -> Stored:
    """Return a case's thread as it was stored."""
    session, table, column = case["session"], case["table"], case["column"]
    return Stored(
        owner=session["user_id"],
        session_type=session["session_type"],
        summary=session["summary"],
        session_data=session["session_data"],
        metadata=session["metadata"],
        column=None if column == "absent" else column,
        table=None if table is None else [_row(row) for row in table],
    )


def _row(row: Json) -> TableRow:
    return TableRow(row["run_id"], row["run_index"], row["created_at"], row["run_data"])


def read_thread(case: Json) -> Thread:
    return Thread.read(stored(case), Generation.of(case["agno"]), is_team=case["reader"] == "team")


def settings(ask: Json) -> Settings:
    """Return the settings of an ask, where null is Agno's default."""
    named = {"session_storage": ask["storage"], "add_history_to_context": ask["add_history"]}
    return Settings(**{one.name: ask[one.name] for one in fields(Settings) if one.name in ask} | named)


def check(case: Json) -> list[Difference]:
    """Ask a case's thread what Agno was asked, and return what differs, one of an ask."""
    thread = read_thread(case)
    found = (_difference(case, n, thread) for n in range(len(case["asks"])))
    return [one for one in found if one]


def _difference(case: Json, n: int, thread: Thread) -> Difference | None:
    ask = case["asks"][n]
    answers = {key: thread.answer(settings(ask), ask["speaker"], handle) for key, handle in _HANDLES.items()}
    answer = answers["outcome"]
    got: Json = {key: _outcome(one) for key, one in answers.items()} | {"summary": answer.summary}
    wrong = next((key for key in got if key in ask and got[key] != ask[key]), "")
    got["sent"] = names(answer.messages)
    if not wrong and not _reads_the_same(case, ask["sent"], answer.messages):
        wrong = "sent"
    question = {name: value for name, value in ask.items() if name not in _ANSWER}
    return Difference(case["id"], n, question, wrong, ask[wrong], got[wrong]) if wrong else None


def _outcome(answer: Answer) -> str:
    """Return what was recorded of an outcome: whether the model was called."""
    return "failed" if answer.outcome is Outcome.FAILED else "sent"


def names(messages: Iterable[SentMessage]) -> list[Any]:
    """Name sent messages as cases do: c3.2 is message 2 of element 3 of the column, t0.1 one of a row."""
    return [one.key if one.calls is None else {"at": one.key, "calls": list(one.calls)} for one in messages]


def _reads_the_same(case: Json, expected: list[Any], sent: list[SentMessage]) -> bool:
    """Tell whether these are the recorded messages.

    What is left of a message that was cut was recorded under the name of another one that reads like it, if there is
    one.
    """
    if len(expected) != len(sent):
        return False
    for name, one, own in zip(expected, sent, names(sent), strict=True):
        if name != own and not (
            one.calls is not None and isinstance(name, str) and _read(case, name) == _text(one.value)
        ):
            return False
    return True


def _read(case: Json, name: str) -> Json:
    run, _, place = name.partition(".")
    data = case["column"][int(run[1:])] if run[0] == "c" else case["table"][int(run[1:])]["run_data"]
    return _text(data.get("run", data)["messages"][int(place)])


def _text(message: Json) -> Json:
    """Return what the model reads of a message."""
    return {name: message.get(name) or None for name in ("role", "content", "tool_call_id", "tool_calls")}
