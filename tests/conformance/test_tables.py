"""Our DDL against the tables that each library makes by itself."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance import environments
from tests.conformance.library import Library, talk
from tests.server import ServedAgent, StudioServer

COLUMNS = """
    select c.table_name, c.column_name, c.data_type, c.udt_name, c.character_maximum_length, c.is_nullable,
        c.column_default, c.is_identity, c.is_generated
    from information_schema.columns c where c.table_schema = current_schema() and c.table_name like 'agno%'
"""
CONSTRAINTS = """
    select conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = current_schema()::regnamespace
        and conrelid::regclass::text like 'agno%' and contype <> 'n'
"""
INDEXES = """
    select tablename, indexname, replace(indexdef, current_schema() || '.', '')
    from pg_indexes where schemaname = current_schema() and tablename like 'agno%'
"""

Rows = set[tuple[Any, ...]]


def rows(server: StudioServer, query: str, schema: str) -> Rows:
    return set(server.sql(query, schema=schema))


@pytest.fixture(scope="module")
def theirs(studio_server: StudioServer) -> Iterator[list[str]]:
    """Two schemas in which each version has made its own tables, as the owner of the database may."""
    schemas = {environments.AGNO_2: "theirs_two", environments.AGNO_3: "theirs_three"}
    for version, schema in schemas.items():
        Library(version, studio_server.dsn, schema)(talk("s1", "Hello"), worries=True)
    yield list(schemas.values())
    for schema in schemas.values():
        studio_server.sql(f"drop schema {schema} cascade")


def union(server: StudioServer, query: str, schemas: list[str]) -> Rows:
    found: Rows = set()
    for schema in schemas:
        found |= rows(server, query, schema)
    return found


@pytest.mark.parametrize("query", [COLUMNS, CONSTRAINTS], ids=["columns", "keys"])
def test_our_tables_are_exactly_the_union_of_both_layouts(
    studio_server: StudioServer, agent: ServedAgent, theirs: list[str], query: str
) -> None:
    wanted = union(studio_server, query, theirs)
    assert {row[0] for row in wanted} == {"agno_sessions", "agno_runs", "agno_schema_versions"}
    assert rows(studio_server, query, agent.schema) == wanted


def test_agnos_indexes_are_there_and_all_others_bear_our_name(
    studio_server: StudioServer, agent: ServedAgent, theirs: list[str]
) -> None:
    wanted = union(studio_server, INDEXES, theirs)
    ours = rows(studio_server, INDEXES, agent.schema)
    assert len(wanted) > 10
    assert wanted <= ours
    assert [name for _, name, _ in ours - wanted if not name.startswith("memory_")] == []
