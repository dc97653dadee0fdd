"""The README's section "From code": every snippet, as it stands, against a running studio."""

import os
import re
import subprocess
import sys

import httpx
import pytest
from psycopg import connect

from memory.demo import load
from tests.conformance import environments
from tests.server import ROOT, StudioServer

LONG_AGO = 1_600_000_000
SEED = """
import time
from tests.world import message, run, write_thread
from studio.models import Agent
agent = Agent.objects.get(pk="agt-supp2ortbot3")
write_thread(agent, "sess_65zy85192r", [run("r-1", "Where is it?", "On its way.")])
write_thread(agent, "old", [run("r-2")], at={long_ago})
write_thread(agent, "old-of-bob", [run("r-3", user_id="alice@example.com")], user_id="bob", at={long_ago})
write_thread(agent, "new", [run("r-4")])
"""


def section() -> str:
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^## From code\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, 'The README has no section "From code".'
    return found[1]


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def printed(studio_server: StudioServer, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Run all snippets in the order of the page, as one program, and return what each printed."""
    studio_server.create_agent("agt-supp2ortbot3", name="Support Bot")
    studio_server.manage("shell", "--no-imports", "--command", SEED.format(long_ago=LONG_AGO))
    make_key, variables = snippets("sh")
    python = {**studio_server.env, "PATH": os.environ["PATH"]}
    command = make_key.replace(".venv/bin/python", sys.executable)
    key = subprocess.run(["bash", "-c", command], cwd=ROOT, env=python, capture_output=True, text=True, check=True)
    names = re.findall(r"^export (\w+)=", variables, re.MULTILINE)
    values = [f"{studio_server.url}/api", key.stdout.splitlines()[-1], "agent-studio"]
    mark = "print('-- next snippet --', flush=True)\n"
    program = tmp_path_factory.mktemp("readme") / "from_code.py"
    program.write_text(mark.join(snippets("python")))
    done = subprocess.run(
        [environments.python(environments.AGNO_3), program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **dict(zip(names, values, strict=True))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("-- next snippet --\n")


def test_the_settings_are_printed(printed: list[str]) -> None:
    assert printed[0] == "Support Bot True 10 0\n"


def test_the_sessions_are_listed_with_their_messages(printed: list[str]) -> None:
    assert sorted(printed[1].splitlines()) == [
        "new alice@example.com 2",
        "old alice@example.com 2",
        "old-of-bob bob 2",
        "sess_65zy85192r alice@example.com 2",
    ]


def test_one_is_read(printed: list[str]) -> None:
    assert printed[2] == "user Where is it?\nassistant On its way.\n"


def test_one_is_deleted(printed: list[str]) -> None:
    assert printed[3] == "True\n"


def test_what_is_old_and_the_users_own_is_gone_and_agno_sees_the_rest(printed: list[str]) -> None:
    assert printed[4] == ""
    sessions, _ = printed[5].splitlines()
    assert sorted(re.findall(r"'([^']+)'", sessions)) == ["new", "old-of-bob"]


def test_the_connection_string_opens_the_database(printed: list[str]) -> None:
    with connect(printed[5].splitlines()[1]) as connection:
        assert connection.execute("select count(*) from agno_sessions").fetchone() == (2,)


def test_its_ids_are_in_the_demo() -> None:
    """Whoever tries the snippets on a new studio finds what they name."""
    agent_ids, thread_ids, users = (
        set(re.findall(rf'{name}_id="([^"]+)"', section())) for name in ("agent", "session", "user")
    )
    (agent,) = [one for one in load.AGENTS if one["id"] in agent_ids]
    sessions = [thread["session"] for thread in load.threads(agent, LONG_AGO)]
    assert len(agent_ids) == len(thread_ids) == len(users) == 1
    assert {one["user_id"] for one in sessions if one["session_id"] in thread_ids} == users


def test_every_snippet_was_run(printed: list[str]) -> None:
    assert len(printed) == len(snippets("python")) == 6
    assert len(re.findall(r"^```\w", section(), re.MULTILINE)) == 8


def test_what_it_links_to_is_there(studio_server: StudioServer) -> None:
    for path in re.findall(r"`(/api/[\w./]+)`", section()):
        assert httpx.get(studio_server.url + path).status_code == 200


def test_the_client_needs_neither_django_nor_the_database() -> None:
    code = "import sys, studio.client; assert not {'django', 'psycopg', 'ninja'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "/usr/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
