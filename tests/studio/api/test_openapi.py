"""The OpenAPI description is true: generated requests, in full some thousands, find no status it does not list."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import sampled_from
from schemathesis import Case, CheckFunction, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from studio.api.main import api
from tests.rounds import rounds
from tests.server import StudioServer, new_database, serving

# of each kind, for each operation
EXAMPLES = rounds(6, 40)
FEW = rounds(2, 10)
LONGEST_LINE = 8190
THREADS = ["plain-1", "~b3JkZXIgNy8y", "~"]
WRITE = """
import json
from django.db import connection
from django_tenants.utils import schema_context
from tests.world import run, write_thread
from studio.models import Agent
agent = Agent.objects.get(pk="agt-fuzz")
for session_id in ("plain-1", "order 7/2", ""):
    write_thread(agent, session_id, [run(session_id + str(number)) for number in range(3)])
"""


@dataclass
class Target:
    server: StudioServer
    key: str
    # how many requests each test made
    sent: list[int] = field(default_factory=list)

    @property
    def api(self) -> str:
        return f"{self.server.url}/api"

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A studio of its own, where no limit ends the run early, with an agent that has threads."""
    with (
        new_database() as dsn,
        serving(dsn, tmp_path_factory.mktemp("fuzzed"), API_REQUESTS_PER_MINUTE="1000000") as server,
    ):
        key = server.manage("api_key", "create", "--name", "fuzz", "--scope", "admin").splitlines()[-1]
        made = httpx.post(
            f"{server.url}/api/agents", json={"id": "agt-fuzz", "name": "Fuzz"}, headers={"x-api-key": key}, timeout=60
        )
        assert made.status_code == 201
        server.manage("shell", "--no-imports", "--command", WRITE)
        target = Target(server, key)
        yield target
        print(f"{sum(target.sent)} requests")
        assert len(target.sent) < len(OPERATIONS) * len(KINDS) or sum(target.sent) >= 20 * EXAMPLES


@pytest.fixture(scope="module")
def described(target: Target) -> Any:
    schema = schemathesis.openapi.from_url(f"{target.api}/openapi.json")
    # the key is ours to send; what is refused without it is tested elsewhere
    schema.config.generation.update(with_security_parameters=False)
    return schema


unhurried = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, phases=[Phase.generate]
)
OPERATIONS = sorted((path, method) for path, methods in api.get_openapi_schema()["paths"].items() for method in methods)


@dataclass(frozen=True)
class Kind:
    """What is sent: right or wrong values, to what exists or to ids that are generated too."""

    mode: GenerationMode
    aimed: bool

    def __str__(self) -> str:
        return f"{self.mode.value}-{'aimed' if self.aimed else 'anywhere'}"

    def strategy(self, path: str, operation: Any) -> Any:
        if not self.aimed:
            return operation.as_strategy(generation_mode=self.mode)
        fixed = {"agent_id": "agt-fuzz"} if "{agent_id}" in path else None
        if "{session_id}" not in path:
            return operation.as_strategy(generation_mode=self.mode, path_parameters=fixed)
        return sampled_from(THREADS).flatmap(
            lambda thread: operation.as_strategy(
                generation_mode=self.mode, path_parameters={"agent_id": "agt-fuzz", "session_id": thread}
            )
        )


KINDS = [Kind(mode, aimed) for mode in GenerationMode for aimed in (True, False)]


@pytest.mark.attack
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_that_the_description_lists(
    target: Target, described: Any, path: str, method: str, kind: Kind
) -> None:
    operation = described[path][method]
    target.sent.append(0)
    if kind.aimed and (method == "delete" or "{" not in path):
        return  # what is aimed at has to stay, or there is nothing to aim at

    # a change that was generated may have turned it off
    on = httpx.patch(f"{target.api}/agents/agt-fuzz/memory", json={"session_storage": True}, headers=target.headers)
    assert on.status_code == 200

    # a valid one makes an agent, which takes its time
    @settings(unhurried, max_examples=FEW if (method, kind.mode) == ("post", GenerationMode.POSITIVE) else EXAMPLES)
    @given(case=kind.strategy(path, operation))
    def ask(case: Case) -> None:
        response = case.call(headers=target.headers)
        target.sent[-1] += 1
        if response.status_code == 414:
            assert len(response.request.url or "") > LONGEST_LINE - 20  # the web server's own limit
            return
        # what a schema cannot say, such as which cursors were handed out, may be refused
        excluded: list[CheckFunction] = [positive_data_acceptance]
        if response.status_code == 501:
            # an agent of another framework; no other 5xx is an answer
            assert response.json()["error"] == "not_supported"
            excluded.append(not_a_server_error)
        case.validate_response(response, excluded_checks=excluded)
        if response.content and response.status_code >= 400:
            assert set(json.loads(response.content)) == {"error", "detail"}

    try:
        ask()
    except Unsatisfiable:
        assert kind.mode is GenerationMode.NEGATIVE  # nothing that is left to generate can be wrong
    still_stands(target)


def still_stands(target: Target) -> None:
    assert httpx.get(f"{target.server.url}/health").status_code == 200
    assert not [line for line in target.server.said if "Traceback" in line]
    on = httpx.patch(f"{target.api}/agents/agt-fuzz/memory", json={"session_storage": True}, headers=target.headers)
    assert on.status_code == 200
    threads = httpx.get(f"{target.api}/agents/agt-fuzz/threads", headers=target.headers).json()["items"]
    assert sorted(thread["session_id"] for thread in threads) == ["", "order 7/2", "plain-1"]


def test_the_description_is_valid_openapi(described: Any) -> None:
    described.validate()


def test_it_describes_the_header_that_carries_the_key(target: Target) -> None:
    raw = httpx.get(f"{target.api}/openapi.json").json()
    (scheme,) = raw["components"]["securitySchemes"].values()
    assert scheme == {"type": "apiKey", "in": "header", "name": "x-api-key"}
    for methods in raw["paths"].values():
        for operation in methods.values():
            assert operation["security"]
            assert operation["x-scope"]
