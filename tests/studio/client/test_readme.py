"""The README's section "From code": every snippet, as it stands, against a studio with its demo."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg import connect

from memory.demo import load
from tests.conformance import environments
from tests.server import ROOT, StudioServer, new_database, serving

LONG_AGO = 1_600_000_000
ALICE, THREAD, BY_SDK = "alice@example.com", "sess_65zy85192r", "sess_b9q6shrnxy"
LISTED = re.compile(r"^(.+) (\S+) (\d+)$", re.MULTILINE)
SEED = """
from tests.world import run, write_thread
from studio.models import Agent
agent = Agent.objects.get(pk="agt-supp2ortbot3")
write_thread(agent, "old", [run("r-2")], at={long_ago})
write_thread(agent, "old-of-bob", [run("r-3", user_id="alice@example.com")], user_id="bob", at={long_ago})
"""


def section() -> str:
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^## From code\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, 'The README has no section "From code".'
    return found[1]


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(), re.DOTALL | re.MULTILINE)


def recorded(agent_id: str) -> dict[str, dict[str, Any]]:
    """An agent's threads in the demo, by id."""
    (agent,) = [one for one in load.AGENTS if one["id"] == agent_id]
    return {thread["session"]["session_id"]: thread for thread in load.threads(agent, LONG_AGO)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """A studio as its first start makes it, and two threads that are older than the demo's."""
    with new_database() as dsn, serving(dsn, tmp_path_factory.mktemp("readme"), DEMO="1") as server:
        server.manage("shell", "--no-imports", "--command", SEED.format(long_ago=LONG_AGO))
        yield server


@pytest.fixture(scope="module")
def variables(server: StudioServer) -> dict[str, str]:
    """What the first snippet exports, typed into a terminal that knows nothing of the studio but its directory."""
    (typed,) = snippets("sh")
    names = re.findall(r"^export (\w+)=", typed, re.MULTILINE)
    typed = typed.replace(".venv/bin/python", sys.executable).replace("http://127.0.0.1:8000", server.url)
    where = {"PATH": os.environ["PATH"], "DATA_DIR": server.env["DATA_DIR"]}
    command = ["bash", "-ec", typed + "\nprintenv " + " ".join(names)]
    done = subprocess.run(command, cwd=ROOT, env=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(names, done.stdout.splitlines(), strict=True))


def printed_by(python: Path, program: str, **variables: str) -> str:
    """Run a program as somebody who has only what the README says."""
    env = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run([python, "-c", program], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def by_sdk(variables: dict[str, str]) -> str:
    return printed_by(environments.python(environments.SDK), snippets("python")[0], **variables)


@pytest.fixture(scope="module")
def printed(variables: dict[str, str]) -> list[str]:
    """Run the snippets of the client in the order of the page, as one program, and return what each printed."""
    mark = "print('-- next snippet --', flush=True)\n"
    program = mark.join(snippets("python")[1:])
    output = printed_by(environments.python(environments.AGNO_3), program, PYTHONPATH=str(ROOT), **variables)
    return output.split("-- next snippet --\n")


def test_the_sdks_agent_has_the_settings_and_the_history_that_is_sent_next(by_sdk: str) -> None:
    runs = recorded("agt-resea2rchnl5")[BY_SDK]["session"]["runs"]
    asked = [run["input"]["input_content"] for run in runs]
    settings, *said = by_sdk.splitlines()
    assert settings == "3 6"
    assert [line.removeprefix("user ") for line in said if line.startswith("user ")] == asked
    assert sum(line.startswith("assistant ") for line in said) > len(asked)


def test_the_settings_are_printed(printed: list[str]) -> None:
    assert printed[0] == "Support Bot True 10 12\n"


def test_the_sessions_are_listed_with_their_messages(printed: list[str]) -> None:
    listed = {i: (user, int(messages)) for i, user, messages in LISTED.findall(printed[1])}
    owned = {i for i, thread in recorded("agt-supp2ortbot3").items() if thread["session"]["user_id"] == ALICE}
    assert owned > {THREAD}
    assert {i for i, (user, _) in listed.items() if user == ALICE} == owned | {"old"}
    assert listed["old-of-bob"] == ("bob", 2)
    assert all(messages for _, messages in listed.values())


def test_one_is_read(printed: list[str]) -> None:
    runs = [run["run_data"] for run in recorded("agt-supp2ortbot3")[THREAD]["runs"]]
    asked = [line.removeprefix("user ") for line in printed[2].splitlines() if line.startswith("user ")]
    assert asked == [run["input"]["input_content"] for run in runs]
    assert printed[2].endswith(f"assistant {runs[-1]['content']}\n")


def test_one_is_deleted(printed: list[str]) -> None:
    assert printed[3] == "True\n"


def test_what_is_old_and_the_users_own_is_gone_and_agno_sees_the_rest(printed: list[str]) -> None:
    assert printed[4] == ""
    sessions, _ = printed[5].splitlines()
    there = {*recorded("agt-supp2ortbot3"), "old-of-bob"} - {THREAD}
    assert set(ast.literal_eval(sessions)) == there


def test_the_connection_string_opens_the_database(printed: list[str]) -> None:
    with connect(printed[5].splitlines()[1]) as connection:
        assert connection.execute("select count(*) from agno_sessions").fetchone() == (
            len(recorded("agt-supp2ortbot3")),
        )


def test_every_snippet_was_run(by_sdk: str, printed: list[str]) -> None:
    assert len([by_sdk, *printed]) == len(snippets("python")) == 7
    assert len(re.findall(r"^```\w", section(), re.MULTILINE)) == 8


def test_what_it_links_to_is_there(server: StudioServer) -> None:
    for path in re.findall(r"`(/api/[\w./]+)`", section()):
        assert httpx.get(server.url + path).status_code == 200


def test_the_client_needs_neither_django_nor_the_database() -> None:
    code = "import sys, studio.client; assert not {'django', 'psycopg', 'ninja'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "/usr/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
