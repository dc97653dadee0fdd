"""The connection: checked and set to public by one statement."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from studio.models import Agent


def search_path() -> str:
    with connection.cursor() as cursor:
        cursor.execute("show search_path")
        return str(cursor.fetchone()[0])


def test_the_check_of_a_connection_sets_it_to_public(ada: Agent) -> None:
    connection.set_schema(ada.schema_name)
    assert search_path() == f"{ada.schema_name}, public"
    connection.set_schema_to_public()
    assert connection.is_usable()
    with CaptureQueriesContext(connection) as asked:
        assert search_path() == "public"
    assert len(asked) == 1


def test_an_agent_chosen_before_the_check_is_set_after_it(ada: Agent) -> None:
    connection.set_schema(ada.schema_name)
    assert connection.is_usable()
    assert search_path() == f"{ada.schema_name}, public"


@pytest.mark.django_db
def test_a_connection_that_broke_is_not_usable() -> None:
    other = connection.copy()
    assert not other.is_usable()
    other.ensure_connection()
    assert other.is_usable()
    other.connection.close()
    assert not other.is_usable()
    other.close()
