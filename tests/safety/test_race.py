"""A run in flight while its thread is deleted: the thread never comes back, and the agent does not crash."""

import json
import random
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.conformance import environments
from tests.rounds import rounds
from tests.server import ServedAgent, StudioServer

ROUNDS = rounds(30, 250)
RACER = Path(__file__).parent / "agents" / "racer.py"


@pytest.fixture(params=[environments.AGNO_2, environments.AGNO_3])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def race(version: str, agent: ServedAgent, *, deletes: bool) -> subprocess.Popen[str]:
    task = {"dsn": agent.dsn, "schema": agent.schema, "rounds": ROUNDS, "seed": 7, "deletes": deletes}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [environments.python(version), RACER, json.dumps(task)], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def left(studio: StudioServer, agent: ServedAgent) -> tuple[int, ...]:
    tables = ("agno_sessions", "agno_runs", "memory_thread", "memory_participant", "memory_user", "memory_run")
    studio.fold(agent.schema)
    counts = ", ".join(f"(select count(*) from {table})" for table in tables)
    return studio.sql(f"select {counts}", schema=agent.schema)[0]


@pytest.mark.attack
def test_a_thread_deleted_in_the_studio_never_comes_back(racing_studio: StudioServer, version: str) -> None:
    agent = racing_studio.create_agent(f"race-studio-{version.replace('.', '-')}")
    key = racing_studio.manage("api_key", "create", "--name", "racer", "--scope", "threads:delete").split()[-1]
    chance = random.Random(11)
    answers: list[int] = []

    def delete(session_id: str) -> None:
        time.sleep(chance.random() * 0.05)
        url = f"{racing_studio.url}/api/agents/{agent.id}/threads/{session_id}"
        answers.append(httpx.delete(url, headers={"x-api-key": key}, timeout=30).status_code)

    deleting: list[threading.Thread] = []
    with race(version, agent, deletes=False) as agno:
        assert agno.stdin is not None
        assert agno.stdout is not None
        said: list[str] = []
        for line in agno.stdout:
            words = line.split()
            if words[0] != "ready":
                said.append(line)
                continue
            deleting.append(threading.Thread(target=delete, args=(words[1],)))
            deleting[-1].start()
            if int(words[1].rpartition("-")[2]) % 3 == 0:
                deleting[-1].join()
                agno.stdin.write("\n")
                agno.stdin.flush()
        for one in deleting:
            one.join()
    found = left(racing_studio, agent)
    print(f"agno {version}: {ROUNDS} rounds, answers {dict(Counter(answers))}, rows of threads that came back {found}")
    assert said == ["end 0\n"]
    assert answers == [204] * ROUNDS
    assert found == (0, 0, 0, 0, 0, 0)
    (buried,) = racing_studio.sql("select count(*) from memory_tombstone", schema=agent.schema)
    assert buried[0] == ROUNDS


@pytest.mark.attack
def test_a_thread_deleted_by_the_library_never_comes_back(racing_studio: StudioServer, version: str) -> None:
    agent = racing_studio.create_agent(f"race-library-{version.replace('.', '-')}")
    output, errors = race(version, agent, deletes=True).communicate(timeout=600)
    assert output.splitlines()[-1:] == ["end 0"], output + errors
    found = left(racing_studio, agent)
    print(f"agno {version}: {ROUNDS} rounds by the library, rows of threads that came back {found}")
    assert found == (0, 0, 0, 0, 0, 0)


def test_a_new_conversation_under_the_same_id_works_and_the_tombstone_names_nobody(
    racing_studio: StudioServer, version: str
) -> None:
    agent = racing_studio.create_agent(f"race-again-{version.replace('.', '-')}")
    write = "insert into agno_sessions (session_id, session_type, user_id, created_at) values (%s, 'agent', 'al', %s)"
    racing_studio.sql(write, "secret-id", 1_700_000_000, schema=agent.schema)
    racing_studio.sql("delete from agno_sessions where session_id = 'secret-id'", schema=agent.schema)
    racing_studio.sql(write, "secret-id", 1_700_000_000, schema=agent.schema)
    assert racing_studio.sql("select count(*) from agno_sessions", schema=agent.schema) == [(0,)]
    racing_studio.sql(write, "secret-id", int(time.time()) + 1, schema=agent.schema)
    assert racing_studio.sql("select count(*) from agno_sessions", schema=agent.schema) == [(1,)]
    ((thread_hash,),) = racing_studio.sql("select thread_hash from memory_tombstone", schema=agent.schema)
    assert len(thread_hash) == 32
    assert b"secret" not in thread_hash
