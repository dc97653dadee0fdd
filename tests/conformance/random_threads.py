"""Random threads as any writer may have left them, most of them whole, and what an agent may ask of them."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from memory.history.agno_order import Stored, TableRow
from memory.history.question import Generation, Handle, Settings

Json = dict[str, Any]
PEOPLE = ["alice", "bob", None]
BOTH, COLUMN, TABLE = "both", "column", "table"
STATUSES = [*["COMPLETED"] * 9, "ERROR", "PAUSED", "CANCELLED", "REGENERATED", "RUNNING", "Paused", None, "NEW"]
TEXTS = ["yes", "no", "", None, "<b>x</b>", "東京", "line\nbreak", ["a", {"type": "text", "text": "b"}], []]

# values of every type, and some of the shapes that Agno stores
ODD: list[Any] = [
    *(None, 0, 1, 2, 5.0, 1.5, 10**20, True, False, "", "text", "true", "5", "5.5", "on", [], [1], ["a"], [{}], {}),
    *({"a": 1}, [{"a": 1}], {"query": "q"}, [{"url": "u"}], [{"url": 5}], [{"content": "aGk="}], [{"content": 5}]),
    *({"content": "aGk="}, {"summary": "s"}, [{"role": "user"}], [{"content": "x"}], [{"agent_id": "a"}], "agent_id"),
    *([{"event": "RunStarted", "agent_id": "a"}], [{"event": "TeamRunStarted"}], [{"event": "New"}], {"details": 5}),
    *([{"event": "CompactionStarted", "agent_id": "a"}], [{"tool_call_id": "x", "metrics": 5}], {"images": 5}),
    *([{"id": "x", "content": ""}], [{"content": "eA==", "mime_type": "text/new"}], [{"next_action": "x"}]),
    *([{"media_reference": {"media_id": "m", "storage_key": "k", "storage_backend": "s3"}}], [{"media_reference": {}}]),
]
OF_MESSAGES = [
    *("id", "role", "content", "compressed_content", "name", "tool_call_id", "tool_calls", "audio", "images", "videos"),
    *("files", "audio_output", "image_output", "video_output", "file_output", "provider_data", "citations"),
    *("reasoning_content", "tool_name", "tool_args", "tool_call_error", "stop_after_tool_call", "from_history"),
    *("add_to_agent_memory", "metrics", "references", "created_at", "temporary", "checkpoint_created_at", "new_field"),
]
OF_RUNS = [
    *(
        "run_id",
        "parent_run_id",
        "agent_id",
        "team_id",
        "status",
        "created_at",
        "messages",
        "metrics",
        "input",
        "tools",
    ),
    *("events", "content", "images", "audio", "response_audio", "citations", "references", "additional_input"),
    *("reasoning_steps", "reasoning_messages", "requirements", "session_state", "metadata", "model", "user_id", "run"),
    *("member_responses", "compaction", "new_field"),
]


@dataclass
class Thread:
    """A thread in one of three layouts: with column and table, or one of them alone."""

    session_id: str
    layout: str
    session: Json
    column: Any
    table: list[Json] = field(default_factory=list)

    @property
    def stored(self) -> Stored:
        rows = [TableRow(row["run_id"], row["run_index"], row["created_at"], row["run_data"]) for row in self.table]
        named = ("session_type", "summary", "session_data", "metadata")
        return Stored(
            owner=self.session["user_id"],
            **{name: self.session[name] for name in named},
            column=self.column,
            table=None if self.layout == COLUMN else rows,
        )


@dataclass
class Ask:
    settings: Settings
    speaker: str | None
    handle: Handle


class Maker:
    """Makes threads and asks, always the same ones of a seed."""

    def __init__(self, seed: int, generation: Generation) -> None:
        self.random = random.Random(seed)
        self.generation = generation
        self._ids = 0

    def thread(self) -> Thread:
        chance, new = self.random, self.generation is Generation.V3
        layout = chance.choice([BOTH, BOTH, TABLE, COLUMN] if new else [BOTH, BOTH, COLUMN])
        name = self._id("thread")
        session: Json = {
            "session_type": chance.choice(["agent"] * 5 + ["team"]),
            "user_id": chance.choice(PEOPLE),
            "session_data": chance.choice([{}, None, {"session_state": {"a": 1}}]),
            "metadata": None,
            "summary": chance.choice([None, None, {"summary": "They met.", "updated_at": "2026-11-22T10:00:00"}]),
        }
        runs = [self._run(chance.choice([1, 1, 3])) for _ in range(chance.choice([0, 1, 2, 3, 6, 15]))]
        if chance.random() < 0.3:
            self._spoil(session, runs)
        return self._laid_out(Thread(name, layout, session, None), runs, new)

    def ask(self) -> Ask:
        chance = self.random
        by_messages = chance.random() < 0.1
        settings = Settings(
            num_history_runs=None if by_messages else chance.choice([1, 2, 3, 5, 10, 50, None, 0, -1]),
            num_history_messages=chance.choice([0, 1, 2, 5, 40]) if by_messages else None,
            max_tool_calls_from_history=chance.choice([None, None, 0, 1, 2, 5]),
            session_summaries=chance.random() < 0.3,
            system_message_role=chance.choice([None] * 8 + ["user", "developer"]),
        )
        return Ask(settings, chance.choice(["alice", "alice", "bob", None]), chance.choice(list(Handle)))

    def _id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}{self._ids}"

    def _laid_out(self, thread: Thread, runs: list[Any], new: bool) -> Thread:
        """Put runs into the column, the table, or some into both."""
        chance = self.random
        to_column = not new or thread.layout == COLUMN or (thread.layout == BOTH and chance.random() < 0.4)
        if to_column:
            thread.column = runs or (None if chance.random() < 0.9 else [])
            if thread.layout != BOTH:
                return thread
            runs = [one for one in runs if chance.random() < 0.3] + [self._run(1) for _ in range(chance.choice([0, 2]))]
        for n, one in enumerate(runs):
            run_id = one.get("run_id") if isinstance(one, dict) else None
            run_id = run_id if isinstance(run_id, str) and run_id.startswith("run") else self._id("run")
            index = chance.choice([n] * 8 + [0, None])
            thread.table.append(
                {"run_id": run_id, "run_index": index, "created_at": chance.choice([5, 6]), "run_data": one}
            )
        return thread

    def _run(self, turns: int) -> Any:
        chance = self.random
        run: Json = {"run_id": self._id("run"), "created_at": 1_795_000_000, "messages": []}
        if chance.random() < 0.9:
            run["status"] = chance.choice(STATUSES)
        run |= {chance.choice(["agent_id"] * 6 + ["team_id", "workflow_id"]): chance.choice(["bot", "other", None])}
        if chance.random() < 0.15:
            run["parent_run_id"] = chance.choice([None, "", "run1"])
        for _ in range(turns):
            run["messages"] += self._turn()
        return run

    def _turn(self) -> list[Json]:
        chance = self.random
        said = [self._message("system")] if chance.random() < 0.4 else []
        said += [self._message("user", from_history=True)] if chance.random() < 0.2 else []
        said += [self._message(chance.choice(["user"] * 8 + ["developer", "function"]))]
        for _ in range(chance.choice([0, 0, 1, 2])):
            called = [chance.choice([self._id("call"), "call_again"]) for _ in range(chance.choice([1, 2, 3]))]
            calls = [{"id": one, "type": "function", "function": {"name": "f"}} for one in called]
            said += [self._message("assistant", tool_calls=calls)]
            # OpenAI's Responses have other ids for results, and some results have none
            others: list[Callable[[str], str | None]] = [str, str, str, lambda one: f"{one}_", lambda one: None]
            of = chance.choice(others)
            said += [self._message("tool", tool_call_id=of(one)) for one in called]
        return [*said, self._message("assistant")]

    def _message(self, role: str, **more: Any) -> Json:
        return {"id": self._id("message"), "role": role, "content": self.random.choice(TEXTS), **more}

    def _spoil(self, session: Json, runs: list[Any]) -> None:
        """Put one odd value somewhere."""
        chance = self.random
        odd = json.loads(json.dumps(chance.choice(ODD)))
        whole = [run for run in runs if run["messages"]]
        place = chance.random()
        if place < 0.1 or not whole:
            session[chance.choice(["summary", "session_data", "metadata"])] = odd
        elif place < 0.5:
            chance.choice(whole)[chance.choice(OF_RUNS)] = odd
        elif place < 0.95:
            chance.choice(chance.choice(whole)["messages"])[chance.choice(OF_MESSAGES)] = odd
        else:
            runs[chance.randrange(len(runs))] = odd
