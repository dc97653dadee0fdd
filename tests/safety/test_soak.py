"""Many requests at once over many agents, with errors between them: nobody is shown another agent's rows."""

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from studio import postgres
from studio.ids import schema_name
from tests.rounds import rounds
from tests.safety.faults import Breakable, breakable
from tests.studio.serve.running import passable
from tests.world import NOW

AGENTS = 20
CLIENTS = 64
SECONDS = rounds(10, 40)
CANARY = re.compile(r"canary-(\d+)-")


@pytest.fixture(scope="module")
def planted() -> Iterator[Breakable]:
    """Twenty agents, each with threads, users and titles that carry its own canary."""
    with passable() as place, breakable(place / "var", WEB_WORKERS="2", WEB_THREADS="8") as thing:
        for number in range(AGENTS):
            made = thing.api("POST", "agents", {"id": f"soak-{number}", "name": f"soak-{number}"})
            assert made.status_code == 201, made.text
            schema = schema_name(f"soak-{number}")
            mark = f"canary-{number}-"
            thing.sql(
                f"insert into {schema}.agno_sessions"
                " (session_id, session_type, user_id, session_data, runs, created_at)"
                " select %s || n, 'agent', %s || n %% 3, jsonb_build_object('session_name', %s || n),"
                " jsonb_build_array(jsonb_build_object('run_id', %s || n, 'content', %s::text, 'input',"
                " jsonb_build_object('input_content', %s::text), 'created_at', %s::bigint)), %s + n"
                " from generate_series(1, 60) n",
                *(f"{mark}thread", f"{mark}user", f"{mark}name", f"{mark}run", f"{mark}answer", f"{mark}question"),
                NOW,
                NOW,
            )
        yield thing


def requests(chance: random.Random, number: int) -> list[tuple[str, str, object]]:
    """What a client might ask about one agent, well and badly: (method, path below /api/, body)."""
    base, thread = f"agents/soak-{number}", f"canary-{number}-thread{chance.randint(1, 60)}"
    return [
        ("GET", f"{base}/threads?limit=20&sort={chance.choice(['activity', 'runs', 'created'])}", None),
        ("GET", f"{base}/users", None),
        ("GET", f"{base}/threads/{thread}", None),
        ("GET", f"{base}/threads/{thread}/runs", None),
        ("GET", f"{base}/threads/{thread}/messages", None),
        ("GET", f"{base}/memory", None),
        ("PATCH", f"{base}/memory", {"num_history_runs": chance.randint(1, 900)}),
        ("PATCH", f"{base}/memory", {"num_history_runs": 0}),
        ("GET", f"{base}/threads?cursor=broken", None),
        ("GET", f"{base}/threads/nobody", None),
        ("DELETE", f"{base}/threads/nobody", None),
        ("DELETE", f"{base}/threads/{thread}", None),
        # refused inside a savepoint: the id is taken
        ("POST", "agents", {"id": f"soak_{number}", "name": f"canary-{number}-"}),
    ]


@pytest.mark.attack
def test_nobody_is_shown_another_agents_rows(planted: Breakable) -> None:
    until = time.monotonic() + SECONDS
    foreign: list[str] = []
    statuses: Counter[int] = Counter()
    guard = threading.Lock()

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        mine: Counter[int] = Counter()
        with httpx.Client(headers={"x-api-key": planted.key}, timeout=60) as client:
            while time.monotonic() < until:
                number = chance.randrange(AGENTS)
                method, path, body = chance.choice(requests(chance, number))
                try:
                    answer = client.request(method, f"{planted.studio.url}/api/{path}", json=body)
                except httpx.HTTPError:
                    mine[0] += 1
                    continue
                mine[answer.status_code] += 1
                seen = {int(found) for found in CANARY.findall(answer.text)}
                if seen - {number}:
                    foreign.append(f"{method} {path}: {sorted(seen)}")
        with guard:
            statuses.update(mine)

    def hold_locks() -> None:
        """Make some requests time out in the middle of a statement."""
        chance = random.Random(0)
        while time.monotonic() < until:
            with psycopg.connect(postgres.dsn(planted.data_dir)) as connection:
                connection.execute(
                    f"lock table ag_soak_{chance.randrange(AGENTS)}.memory_thread in access exclusive mode"
                )
                time.sleep(3)

    people = [threading.Thread(target=ask, args=(seed,)) for seed in range(CLIENTS)]
    for one in (*people, threading.Thread(target=hold_locks, daemon=True)):
        one.start()
    for person in people:
        person.join()
    print(f"{statuses.total()} answers of {CLIENTS} clients in {SECONDS} s: {dict(sorted(statuses.items()))}")
    assert foreign == []
    assert {200, 404, 422} <= set(statuses)
    assert not statuses[500]
    for number in range(AGENTS):
        ((others,),) = planted.sql(
            f"select count(*) from ag_soak_{number}.memory_thread where session_id not like %s", f"canary-{number}-%"
        )
        assert others == 0
