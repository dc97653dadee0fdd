"""Threads deleted while a run is in flight, by agents whose clocks are ahead, behind, or count milliseconds."""

import json
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from studio import ids
from tests.conformance import environments
from tests.rounds import rounds
from tests.server import ServedAgent, StudioServer

CLOCKS = [
    *((f"{ahead:+} s", ahead, 1) for ahead in (-600, -5, 0, 5, 600)),
    *((f"{ahead:+} s in ms", ahead, 1000) for ahead in (-600, 0, 600)),
]
ROUNDS = rounds(3, 12)
CLOCKED = Path(__file__).parent / "agents" / "clocked.py"


@pytest.mark.attack
@pytest.mark.parametrize("version", [environments.AGNO_2, environments.AGNO_3])
def test_a_late_write_is_dropped_and_a_new_talk_is_kept(racing_studio: StudioServer, version: str) -> None:
    agent = racing_studio.create_agent(f"clocks-{version.replace('.', '-')}")
    key = racing_studio.manage("api_key", "create", "--name", "clocks", "--scope", "threads:delete").split()[-1]
    talks = len(CLOCKS) * ROUNDS
    with talking(version, agent) as agno, httpx.Client(headers={"x-api-key": key}, timeout=30) as client:
        assert agno.stdin is not None
        assert agno.stdout is not None
        for line in agno.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "end":
                assert rest == "0"
                break
            if word == "ready":
                url = f"{racing_studio.url}/api/agents/{agent.id}/threads/{ids.encode(rest)}"
                assert client.delete(url).status_code == 204
            else:
                assert word == "pause", line
                assert stored(racing_studio, agent) == []
                # a talk that began in the same second as the deleted one cannot be told from it
                time.sleep(1.1)
            agno.stdin.write("\n")
            agno.stdin.flush()
    kept = stored(racing_studio, agent)
    print(f"agno {version}: {talks} late writes, none came back; {len(kept)} new talks kept")
    assert kept == sorted((f"{name} {number}", 1) for name, _, _ in CLOCKS for number in range(ROUNDS))


def talking(version: str, agent: ServedAgent) -> subprocess.Popen[str]:
    task = {"dsn": agent.dsn, "schema": agent.schema, "clocks": CLOCKS, "rounds": ROUNDS}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [environments.python(version), CLOCKED, json.dumps(task)], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def stored(studio: StudioServer, agent: ServedAgent) -> list[tuple[str, int]]:
    """Return Agno's threads with the number of their runs, in the column or the table."""
    return sorted(
        studio.sql(
            """
            select session_id, jsonb_array_length(coalesce(nullif(runs, 'null'), '[]'))
                + (select count(*) from agno_runs r where r.session_id = s.session_id) as runs
            from agno_sessions s""",
            schema=agent.schema,
        )
    )
