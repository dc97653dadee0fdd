"""The connection of a request: checked by its socket, and never in a schema that was not chosen."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random
from time import sleep

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from studio.models import Agent
from studio.postgres.backend.base import DatabaseWrapper
from tests.rounds import rounds

OF_BRUNO = "ag_agt_bruno, public"


@pytest.fixture
def own(ada: Agent, bruno: Agent) -> Iterator[DatabaseWrapper]:
    """A connection outside the test's transaction, as a request has it."""
    other = connection.copy()
    assert isinstance(other, DatabaseWrapper)
    other.ensure_connection()
    yield other
    other.close()


@pytest.fixture(params=["a server that tells its search_path", "an older server"])
def either(request: pytest.FixtureRequest, own: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch) -> DatabaseWrapper:
    if request.param == "an older server":
        monkeypatch.setattr(DatabaseWrapper, "_told", lambda self: None)
    return own


def run(wrapper: DatabaseWrapper, query: str) -> str:
    with wrapper.cursor() as cursor:
        cursor.execute(query)
        return str(cursor.fetchone()[0]) if cursor.description else ""


def search_path(wrapper: DatabaseWrapper) -> str:
    return run(wrapper, "show search_path")


class TestTheCheck:
    def test_a_healthy_connection_is_not_asked(self, own: DatabaseWrapper) -> None:
        pid = run(own, "select pg_backend_pid() as asked_before")
        assert own.is_usable()
        last = "select query from pg_stat_activity where pid = %s"
        with connection.cursor() as cursor:
            cursor.execute(last, [int(pid)])
            assert cursor.fetchone() == ("select pg_backend_pid() as asked_before",)

    def test_one_that_the_server_ended_is_noticed(self, own: DatabaseWrapper) -> None:
        pid = run(own, "select pg_backend_pid()")
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(%s)", [int(pid)])
        for _ in range(100):
            if not own.is_usable():
                break
            sleep(0.05)
        assert not own.is_usable()

    def test_one_that_was_closed_is_noticed(self, own: DatabaseWrapper) -> None:
        assert own.is_usable()
        own.connection.close()
        assert not own.is_usable()
        own.close()
        assert not own.is_usable()

    def test_one_with_an_error_serves_no_other_request(self, own: DatabaseWrapper) -> None:
        """A statement that was prepared for a table of before would fail again and again."""
        with pytest.raises(DatabaseError):
            run(own, "select * from nowhere")
        own.close_if_unusable_or_obsolete()
        assert own.connection is None
        assert run(own, "select 1") == "1"
        assert own.is_usable()

    @pytest.mark.parametrize("query", ["begin", "begin; select 1 / 0"])
    def test_a_transaction_that_somebody_left_is_not_gone_on_with(self, own: DatabaseWrapper, query: str) -> None:
        with suppress(DatabaseError):
            run(own, query)
        assert not own.is_usable()


class TestTheSearchPath:
    def test_it_is_sent_only_when_it_changes(self, own: DatabaseWrapper, ada: Agent, bruno: Agent) -> None:
        def sent(schema: str) -> int:
            own.set_schema(schema)
            with CaptureQueriesContext(own) as asked:
                run(own, "select 1")
                run(own, "select 1")
            return len(asked) - 2

        assert sent(ada.schema_name) == 1
        own.set_schema_to_public()
        assert own.is_usable()
        assert [sent(ada.schema_name), sent(bruno.schema_name), sent(bruno.schema_name), sent("public")] == [0, 1, 0, 1]

    def test_an_older_server_is_told_in_every_request(self, either: DatabaseWrapper, ada: Agent) -> None:
        either.set_schema(ada.schema_name)
        assert search_path(either) == f"{ada.schema_name}, public"
        # whatever changes it behind our back
        with either.public_cursor() as cursor:
            cursor.execute(f"set search_path = {OF_BRUNO}")
        assert either.is_usable()
        assert search_path(either) == f"{ada.schema_name}, public"

    def test_a_cursor_for_the_public_schema_leaves_it(self, own: DatabaseWrapper, ada: Agent) -> None:
        own.set_schema(ada.schema_name)
        run(own, "select 1")
        own.set_schema_to_public()
        with own.public_cursor() as cursor:
            cursor.execute("select current_setting('search_path'), count(*) from public.studio_agent")
            assert cursor.fetchone()[0] == f"{ada.schema_name}, public"
        assert search_path(own) == "public"

    @pytest.mark.attack
    def test_it_is_the_chosen_one_whatever_happened_before(
        self, own: DatabaseWrapper, ada: Agent, bruno: Agent
    ) -> None:
        """Transactions that fail, end halfway or are undone take the search_path back that they have set."""
        chance = Random(8)
        schemas = [ada.schema_name, bruno.schema_name, "public"]
        ends = ["commit", "rollback", "rollback to savepoint s; commit"]
        for _ in range(rounds(150, 3000)):
            own.set_schema(chance.choice(schemas))
            run(own, "begin")
            run(own, "savepoint s")
            own.set_schema(chance.choice(schemas))
            with suppress(DatabaseError):
                run(own, chance.choice(["select 1", "select 1 / 0", f"set search_path = {OF_BRUNO}"]))
            with suppress(DatabaseError), own.public_cursor() as cursor:
                cursor.execute(chance.choice(ends))
            with own.public_cursor() as cursor:
                cursor.execute("rollback")
            chosen = chance.choice(schemas)
            own.set_schema(chosen)
            assert search_path(own) == (chosen if chosen == "public" else f"{chosen}, public")
