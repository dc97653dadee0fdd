"""Each agent has a schema to itself: a missing one is nobody's, and two ids never share one."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from studio.agents import provision
from studio.audit.record import Actor
from studio.ids import is_agent_id, schema_name
from studio.keys import service as keys
from studio.models import Agent
from tests.safety.routes import routes, sample
from tests.world import fails, run, sql, write_thread

CANARY = "canary-of-somebody-else"
LONGEST = 58
IDS = st.from_regex(r"[a-z0-9](?:[a-z0-9_-]{0,56}[a-z0-9])?", fullmatch=True)


def tables(schema: str) -> set[str]:
    return {name for (name,) in sql("select relname from pg_class where relnamespace = %s::regnamespace", schema)}


class TestTheConnection:
    """A thread's connection outlives the request, so the schema of one agent must not be there for the next."""

    def test_is_back_in_public_after_every_address_of_an_agent(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s-1")
        _, key = keys.create(Actor.system(), name="k", scopes=["admin"])
        for method in ("get", "post"):
            for path, answer in answers(page, key, method):
                answer.getvalue()
                assert connection.schema_name == "public", (method, path, answer.status_code)

    def test_is_back_in_public_after_an_error(self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memory.pages.thread_list.threads.list_threads", fails(RuntimeError("boom")))
        page.raise_request_exception = False
        assert page.get("/agents/agt-ada/threads/").status_code == 500
        assert connection.schema_name == "public"

    def test_is_in_public_at_the_start_whatever_was_before(
        self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        monkeypatch.setattr("studio.agents.views.listing.page", lambda *_, **__: seen.append(connection.schema_name))
        connection.set_schema(ada.schema_name)
        page.raise_request_exception = False
        page.get("/agents/")
        assert seen == ["public"]


@pytest.fixture
def lost(ada: Agent, bruno: Agent) -> Agent:
    """Ada's schema is gone, as after half a restore, while another has rows under the same ids."""
    write_thread(bruno, "s-1", [run("s-1-1", CANARY, CANARY)], user_id=CANARY, session_data={"session_name": CANARY})
    sql(f"drop schema {ada.schema_name} cascade")
    return ada


def answers(page: Client, key: str, method: str) -> Iterator[tuple[str, Any]]:
    """What every address of the lost agent answers; a failed statement ends with its own savepoint."""
    page.raise_request_exception = False
    form = {"id": "s-1", "expect": "1", "session_storage": "on", "num_history_runs": "5", "version": "1"}
    for route in [route for route in routes() if route.is_of_an_agent]:
        by_key = route.route.startswith("api/")
        path = route.path(**sample(user_id=CANARY))
        with transaction.atomic():
            yield (
                path,
                getattr(page, method)(
                    path, *([form] if method == "post" else []), headers={"x-api-key": key} if by_key else {}
                ),
            )
            transaction.set_rollback(True)


class TestAMissingSchema:
    @pytest.mark.parametrize("method", ["get", "post", "delete"])
    def test_shows_nobodys_rows_at_any_address(self, page: Client, lost: Agent, method: str) -> None:
        _, key = keys.create(Actor.system(), name="k", scopes=["admin"])
        statuses = {}
        for path, answer in answers(page, key, method):
            assert CANARY not in answer.getvalue().decode(), path
            statuses[path] = answer.status_code
        assert 500 not in statuses.values(), statuses
        if method == "get":
            assert statuses["/agents/agt-ada/threads/s-1/"] == statuses["/api/agents/agt-ada/threads"] == 503
        assert sql("select count(*) from ag_agt_bruno.agno_sessions") == [(1,)]

    def test_is_called_not_provisioned(self, page: Client, lost: Agent) -> None:
        assert "not provisioned" in page.get("/agents/").content.decode()

    def test_no_table_is_on_both_sides(self, ada: Agent) -> None:
        """Else the search_path would answer with the public one."""
        assert {"agno_sessions", "memory_thread"} <= tables(ada.schema_name)
        assert {"studio_agent", "studio_auditevent"} <= tables("public")
        both = tables(ada.schema_name) & tables("public")
        # each schema remembers its own migrations, where nothing is anybody's
        assert {name for name in both if not name.startswith("django_migrations")} == set()


class TestTwoIds:
    @given(IDS, IDS)
    def test_share_a_schema_only_where_one_of_them_is_refused(self, one: str, other: str) -> None:
        for agent_id in (one, other):
            assert is_agent_id(agent_id)
            assert len(schema_name(agent_id).encode()) <= 63
        if schema_name(one) == schema_name(other):
            assert one.replace("-", "_") == other.replace("-", "_")

    def test_that_differ_in_their_last_letter_have_two_schemas(self, db: None) -> None:
        """Postgres cuts names after 63 bytes; two schemas of one name would be one."""
        first, second = ("x" * (LONGEST - 1) + letter for letter in "ab")
        for agent_id in (first, second):
            agent = provision.create_agent(Actor.system(), agent_id=agent_id, name=agent_id)
            assert sql("select 1 from pg_namespace where nspname = %s", agent.schema_name) == [(1,)]
        write_thread(Agent.objects.get(pk=first), "s-1")
        assert sql(f"select count(*) from {schema_name(second)}.agno_sessions") == [(0,)]

    @pytest.mark.parametrize("twin", ["agt_ada", "agt-ada"])
    def test_that_would_share_one_are_refused(self, page: Client, ada: Agent, twin: str) -> None:
        with pytest.raises(provision.Refused), transaction.atomic():
            provision.create_agent(Actor.system(), agent_id=twin, name="Twin")
        form = {"name": "Twin", "agent_id": twin, "framework": "agno", "status": "ACTIVE"}
        assert page.post("/agents/new/", form).status_code == 422
        assert Agent.objects.filter(schema_name=ada.schema_name).count() == 1

    @pytest.mark.parametrize(
        "bad",
        [
            "x" * (LONGEST + 1),
            "Agt-Ada",
            "agt ada",
            "agt.ada",
            "-a",
            "a-",
            "_",
            "é",
            "a\n",
            "a\x00",
            'a"; drop',
            "ａ",
            "٣",
        ],
    )
    def test_cannot_be_of_other_letters_or_longer(self, page: Client, bad: str) -> None:
        before = Agent.objects.count()
        form = {"name": "Bad", "agent_id": bad, "framework": "agno", "status": "ACTIVE"}
        assert is_agent_id(bad) is False
        assert page.post("/agents/new/", form).status_code in (400, 422) or bad.strip() != bad
        with pytest.raises(provision.Refused):
            provision.create_agent(Actor.system(), agent_id=bad, name="Bad")
        assert Agent.objects.count() == before or bad.strip() != bad
