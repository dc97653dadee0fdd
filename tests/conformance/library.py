"""Run the real Agno in a process of its own, as an agent of the studio does."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance import environments

SCRIPT = Path(__file__).parent / "agents" / "agno_agent.py"
ANSWER_SECONDS = 300

Step = dict[str, Any]


@dataclass(frozen=True)
class Library:
    """A version of Agno on one schema; `asynchronous` chooses AsyncPostgresDb, as xpander-sdk does."""

    environment: str
    dsn: str
    schema: str
    asynchronous: bool = False

    def __str__(self) -> str:
        return f"{self.environment} {'async' if self.asynchronous else 'sync'}"

    def __call__(self, *steps: Step, worries: bool = False) -> list[Any]:
        """Run steps and return their answers; fail if Agno logs a warning, unless `worries` is on."""
        with self.process(*steps) as process:
            return self.answers(process, worries=worries)

    def one(self, do: str, **values: Any) -> Any:
        """Run a single step and return its answer."""
        return self({"do": do, **values})[0]

    @contextmanager
    def process(self, *steps: Step) -> "Iterator[subprocess.Popen[str]]":
        """Start the steps; `answers` waits for their end."""
        task = {"dsn": self.dsn, "schema": self.schema, "asynchronous": self.asynchronous, "steps": steps}
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [environments.python(self.environment), SCRIPT, json.dumps(task)],
            # Nothing of this run's, whose variables could keep Python from storing what it compiles.
            env={"PATH": "/usr/bin:/bin"},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def answers(self, process: "subprocess.Popen[str]", *, say: str = "", worries: bool = False) -> list[Any]:
        """Write to the process's standard input, wait for its end, and return the answers."""
        output, errors = process.communicate(say, timeout=ANSWER_SECONDS)
        assert process.returncode == 0, errors
        told = json.loads(output.splitlines()[-1])
        if not worries:
            assert not told["worries"], told["worries"]
            assert not errors, errors
        answers: list[Any] = told["answers"]
        return answers


def talk(session_id: str, *texts: str, user_id: str | None = "alice@example.com", **settings: Any) -> Step:
    return {"do": "talk", "session_id": session_id, "texts": texts, "user_id": user_id, **settings}


def read(session_id: str, session_type: str = "agent") -> Step:
    return {"do": "read", "session_id": session_id, "session_type": session_type}
