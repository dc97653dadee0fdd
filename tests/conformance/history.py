"""Ask an Agno release what it sends of random threads, and print where the studio says something else.

.venv/bin/python -m tests.conformance.history VERSION [--turns N] [--seed N]
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from memory.history.answer import Answer, Outcome
from memory.history.question import Generation, Handle
from memory.history.thread import Thread as Read
from tests.conformance import environments
from tests.conformance.random_threads import BOTH, COLUMN, TABLE, Ask, Maker, Thread
from tests.postgres import start_guarded, stop_guarded

HERE = Path(__file__).parent
TABLES = HERE.parent.parent / "memory" / "schema" / "agno.sql"
KNOWN = {"2.5": environments.AGNO_2, "3.1": environments.AGNO_3}
LACKS = {
    BOTH: "select 1",
    COLUMN: "drop table {schema}.agno_runs",
    TABLE: "alter table {schema}.agno_sessions drop runs",
}
ASKS = 4
ANSWER_SECONDS = 3600
Json = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    thread: Thread
    ask: Ask
    is_team: bool
    theirs: Json
    ours: Json

    def __str__(self) -> str:
        stored = {"session": self.thread.session, "column": self.thread.column, "table": self.thread.table}
        asked = {**asdict(self.ask), "reader": "team" if self.is_team else "agent"}
        lines = [f"{self.thread.session_id} ({self.thread.layout}): {json.dumps(asked)}", json.dumps(stored)]
        return "\n".join([*lines, f"  Agno: {json.dumps(self.theirs)}", f"  the studio: {json.dumps(self.ours)}"])


def differences(version: str, dsn: str, schema: str, turns: int, seed: int) -> Iterator[Difference]:
    """Write threads into schemas of their own, and yield where Agno's answer and the studio's differ."""
    generation = Generation.of(version)
    maker = Maker(seed, generation)
    asked = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        _make_schemas(connection, schema)
        for _ in range(-(-turns // ASKS)):
            thread = maker.thread()
            _write(connection, f"{schema}_{thread.layout}", thread)
            asked += [(thread, maker.ask()) for _ in range(min(ASKS, turns - len(asked)))]
        try:
            answers = _answers(version, dsn, schema, asked)
        finally:
            for layout in LACKS:
                connection.execute(SQL("drop schema {} cascade").format(Identifier(f"{schema}_{layout}")))
    for (thread, ask), theirs in zip(asked, answers, strict=True):
        is_team = thread.session["session_type"] == "team"
        answer = Read.read(thread.stored, generation, is_team=is_team).answer(ask.settings, ask.speaker, ask.handle)
        ours = _as_told(answer)
        if ours != _comparable(theirs, answer):
            yield Difference(thread, ask, is_team, theirs, ours)


def _make_schemas(connection: psycopg.Connection[Any], schema: str) -> None:
    for layout, lacks in LACKS.items():
        name = f"{schema}_{layout}"
        for statement in (f"create schema {name}", TABLES.read_text().replace("{schema}", name), lacks):
            connection.execute(statement.replace("{schema}", name).encode())


def _write(connection: psycopg.Connection[Any], schema: str, thread: Thread) -> None:
    session = {"session_id": thread.session_id, "created_at": 5, "updated_at": 6, **thread.session}
    session |= {"runs": thread.column} if thread.layout != TABLE else {}
    _insert(connection, schema, "agno_sessions", session)
    for row in thread.table:
        _insert(connection, schema, "agno_runs", {"session_id": thread.session_id, "run_type": "agent", **row})


def _insert(connection: psycopg.Connection[Any], schema: str, table: str, values: Json) -> None:
    in_json = ("session_data", "metadata", "summary", "runs", "run_data")
    columns, marks = SQL(", ").join(map(Identifier, values)), SQL(", ").join(SQL("%s") for _ in values)
    statement = SQL("insert into {} ({}) values ({})").format(Identifier(schema, table), columns, marks)
    given = [Jsonb(one) if name in in_json and one is not None else one for name, one in values.items()]
    connection.execute(statement, given)


def _answers(version: str, dsn: str, schema: str, asked: list[tuple[Thread, Ask]]) -> list[Json]:
    """Let the real library answer in a process of its own."""
    lines = [json.dumps(_question(thread, ask, schema)) for thread, ask in asked]
    process = subprocess.run(
        [_python(version), HERE / "agents" / "history_agent.py", json.dumps({"dsn": dsn})],
        input="\n".join(lines) + "\n",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=ANSWER_SECONDS,
    )
    answers = re.findall(r"^ANSWER (.*)$", process.stdout, re.MULTILINE)
    assert len(answers) == len(asked), process.stderr[-2000:]
    return [json.loads(one) for one in answers]


def _question(thread: Thread, ask: Ask, schema: str) -> Json:
    of_ours = asdict(ask.settings)
    settings = {name: of_ours[name] for name in of_ours if name not in ("session_storage", "session_summaries")}
    return {
        "schema": f"{schema}_{thread.layout}",
        "session_id": thread.session_id,
        "reader": thread.session["session_type"],
        "asynchronous": ask.handle is Handle.ASYNC,
        "speaker": ask.speaker,
        "settings": settings | {"add_session_summary_to_context": ask.settings.session_summaries},
    }


def _python(version: str) -> Path:
    """Return the interpreter with a release: one that the tests have, or one like the nearest of these."""
    known = KNOWN.get(".".join(version.split(".")[:2]))
    name = known or KNOWN["3.1" if Generation.of(version) is Generation.V3 else "2.5"]
    pins = HERE / f"requirements-{name}.txt"
    if f"agno=={version}\n" in pins.read_text() or version in KNOWN:
        return environments.python(name)
    # what it brings in is not pinned
    direct = pins.read_text().partition("\n\n")[0]
    other = environments.KEPT / "releases"
    other.mkdir(parents=True, exist_ok=True)
    named = other / f"requirements-agno-{version}.txt"
    named.write_text(re.sub(r"^agno==.*$", f"agno=={version}", direct, flags=re.MULTILINE) + "\n")
    return environments.python(f"agno-{version}", other)


def _as_told(answer: Answer) -> Json:
    if answer.outcome is Outcome.FAILED:
        return {"called": False, "sent": [], "summary": None}
    sent = [_outline(message.value) for message in answer.messages]
    return {"called": True, "sent": sent, "summary": answer.summary}


def _outline(message: Json) -> Json:
    calls = [call.get("id") for call in message.get("tool_calls") or []]
    named = {name: message.get(name) for name in ("id", "role", "content")}
    return {**named, "result_of": message.get("tool_call_id"), "calls": calls}


def _comparable(theirs: Json, answer: Answer) -> Json:
    """Leave out the ids that Agno gave to messages without one."""
    sent = theirs["sent"]
    if len(sent) == len(answer.messages):
        stored = ["id" in message.value for message in answer.messages]
        sent = [one if has_id else {**one, "id": None} for one, has_id in zip(sent, stored, strict=True)]
    return {**theirs, "sent": sent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="an Agno release, such as 3.1.10")
    parser.add_argument("--turns", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    guard = start_guarded()
    try:
        dsn = os.environ["DATABASE_URL"]
        found = list(differences(given.version, dsn, "asked", given.turns, given.seed))
    finally:
        stop_guarded(guard)
    for one in found[:20]:
        print(one)
    print(f"agree {given.turns - len(found)} of {given.turns}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
