"""What goes wrong is answered in JSON, with the right status, and without a word about the inside."""

from unittest import mock

import pytest
from django.conf import LazySettings
from django.db import InterfaceError, NotSupportedError, OperationalError, connection
from django_tenants.utils import schema_context

from studio.keys import service as keys
from studio.models import Agent
from tests.calls import Answer, Api

NOTHING = (404, "There is nothing at this address, or your key does not reach it.")
UNREADABLE = (400, "The request holds something that cannot be read.")


@pytest.fixture(params=[True, False], ids=["debug", "production"], autouse=True)
def debug(request: pytest.FixtureRequest, settings: LazySettings) -> None:
    settings.DEBUG = request.param


@pytest.mark.parametrize(
    "path",
    ["nothing", "agents/agt-ada/", "agents/list/", "agents/UPPER", "agents/agt-ada/threads/~x", "agents//db", "%00"],
)
def test_an_unknown_address(api: Api, path: str) -> None:
    assert api("GET", path).said == NOTHING


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "agents/list", {"GET", "HEAD"}),
        ("PUT", "agents/agt-ada/memory", {"GET", "HEAD", "PATCH"}),
        ("GET", "agents", {"POST"}),
        ("TRACE", "agents/agt-ada", {"GET", "HEAD", "DELETE"}),
        ("POST", "openapi.json", {"GET"}),
    ],
)
def test_a_method_that_is_not_there(api: Api, method: str, path: str, allowed: set[str]) -> None:
    answer = api(method, path)
    if path == "openapi.json":
        assert answer.status in (200, 405)
        return
    assert answer.said == (405, f"{method} is not possible here.")
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_head_is_not_there_where_get_is_not(api: Api) -> None:
    answer = api("HEAD", "agents")
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", None)


@pytest.mark.parametrize(
    "body",
    ["", "{", "[" * 100_000, "[" + "9" * 6000 + "]", "null", "[]", '"text"', "NaN", b"\xff\xfe", b'{"name": "\xff"}'],
)
def test_a_body_that_cannot_be_read(api: Api, body: str | bytes) -> None:
    for method, path in (("PATCH", "agents/agt-ada/memory"), ("POST", "agents")):
        answer = Answer.of(api.raw(method, path, body))
        assert answer.said[0] in (400, 422)


def test_a_body_that_is_too_large(api: Api, settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = api("POST", "agents", {"name": "x", "instructions": "y" * 2000})
    assert answer.said == (413, "The request is too large.")


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\udfff x"])
def test_text_that_cannot_be_stored(api: Api, text: str) -> None:
    assert api("POST", "agents", {"name": text}).said[0] == 422


@pytest.mark.parametrize(
    "query",
    ["q=%00", "user_id=%00", "user_id=%ff", "status=%00", "cursor=%00", "limit=1e9", "limit=%D9%A1", "since=1e400"],
)
@pytest.mark.parametrize("list_of", ["threads", "users"])
def test_bad_bytes_in_the_query(api: Api, list_of: str, query: str) -> None:
    status = api("GET", f"agents/agt-ada/{list_of}?{query}").status
    assert status in ({200, 400, 422} if "%ff" in query else {400, 422})


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_the_database_is_away(api: Api, error: type[Exception]) -> None:
    with mock.patch.object(keys, "authenticate", side_effect=error("connection to 10.0.0.7 failed: password hunter2")):
        answer = api("GET", "agents/list")
    assert answer.said == (503, "The studio cannot reach its database. Try again in a moment.")
    assert answer.headers["retry-after"] == "5"


def test_a_table_has_changed_under_a_prepared_statement(api: Api) -> None:
    with mock.patch.object(keys, "authenticate", side_effect=NotSupportedError("cached plan must not change result")):
        answer = api("GET", "agents/list")
    assert answer.said == (503, "A table of the studio has just changed. Try again.")
    assert answer.headers["retry-after"] == "5"


def test_a_mistake_of_ours(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with mock.patch("studio.api.agents._item", side_effect=RuntimeError("the inside")):
        answer = api("GET", "agents/list")
    assert answer.said == (500, "Something went wrong. The error was logged.")
    assert "the inside" in caplog.text


def test_a_mistake_in_a_middleware(api: Api, settings: LazySettings) -> None:
    settings.DEBUG = False
    with mock.patch("studio.middleware.AgentMiddleware.process_view", side_effect=RuntimeError("the inside")):
        answer = api("GET", "agents/agt-ada")
    assert answer.said[0] == 500


def test_a_foreign_host(api: Api, settings: LazySettings) -> None:
    settings.DEBUG = False
    answer = Answer.of(api.client.get("/api/agents/list", headers={"host": "evil.example"}))
    assert answer.said[0] == 400


@pytest.mark.parametrize("path", ["threads", "users", "threads/x", "threads/x/runs"])
def test_an_agent_without_its_tables(api: Api, bruno: Agent, path: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("drop schema ag_agt_bruno cascade")
    answer = api("GET", f"agents/agt-bruno/{path}")
    assert answer.said == (503, "This agent's tables are missing, so there is nothing to read.")


def test_it_asks_no_cache_to_keep_anything(api: Api) -> None:
    assert api("GET", "agents/list").headers["cache-control"] == "no-store"
    assert api("GET", "nothing").headers["cache-control"] == "no-store"


def test_each_answer_leaves_the_connection_in_the_public_schema(api: Api) -> None:
    api("GET", "agents/agt-ada/threads")
    assert connection.schema_name == "public"
    with schema_context("public"):
        assert Agent.objects.count() >= 2
