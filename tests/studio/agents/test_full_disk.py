"""Agents' writes are refused while the disk is nearly full, and let in again when it is not."""

import pytest
from django.test import Client

from studio import disk
from studio.agents import database_role, full_disk
from studio.models import Agent
from tests.reading import text
from tests.world import sql

RIGHTS = """
    select has_table_privilege(%s, 'ag_agt_ada.agno_sessions', 'insert'),
        has_table_privilege(%s, 'ag_agt_ada.agno_runs', 'update'),
        has_table_privilege(%s, 'ag_agt_ada.agno_sessions', 'select'),
        has_table_privilege(%s, 'ag_agt_ada.agno_sessions', 'delete')"""
EVENTS = """
    select action, (data->'counts'->'agents')::int, data->>'disk'
    from public.studio_auditevent where action like 'agent.writes%' order by id"""


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The roles whose running statements are ended; here is no bundled server whose superuser could do it."""
    seen: list[list[str]] = []
    monkeypatch.setattr(full_disk, "_end_running", seen.append)
    return seen


def at(monkeypatch: pytest.MonkeyPatch, share: float | None) -> None:
    monkeypatch.setattr(disk, "used", lambda: share)
    full_disk.keep_room()


def rights(agent: Agent) -> tuple[bool, ...]:
    return sql(RIGHTS, *[database_role.find(agent).name] * 4)[0]


@pytest.fixture
def agent(ada: Agent) -> Agent:
    database_role.ensure(ada)
    return ada


def test_writes_are_refused_and_let_in_again(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, ended: list[list[str]]
) -> None:
    for share in (0.5, 0.949):
        at(monkeypatch, share)
        assert rights(agent) == (True, True, True, True)
    at(monkeypatch, 0.95)
    assert rights(agent) == (False, False, True, True)
    # between the two nothing changes, so that it does not go back and forth
    at(monkeypatch, 0.94)
    assert rights(agent) == (False, False, True, True)
    at(monkeypatch, 0.929)
    assert rights(agent) == (True, True, True, True)
    (roles,) = ended
    assert database_role.find(agent).name in roles
    assert sql(EVENTS) == [
        ("agent.writes_refused", len(roles), "95 %"),
        ("agent.writes_allowed", len(roles), "92 %"),
    ]


def test_what_is_so_already_is_not_said_again(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, ended: list[list[str]]
) -> None:
    for share in (0.96, 0.97, 0.98, 0.5, 0.5):
        at(monkeypatch, share)
    assert [action for action, *_ in sql(EVENTS)] == ["agent.writes_refused", "agent.writes_allowed"]


def test_who_is_given_rights_meanwhile_loses_them_again(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, ended: list[list[str]]
) -> None:
    at(monkeypatch, 0.96)
    database_role.ensure(agent)
    at(monkeypatch, 0.96)
    assert rights(agent) == (False, False, True, True)


def test_an_agent_that_was_removed_meanwhile_is_no_matter(
    agent: Agent, bruno: Agent, monkeypatch: pytest.MonkeyPatch, ended: list[list[str]]
) -> None:
    at(monkeypatch, 0.96)
    database_role.drop(agent)
    at(monkeypatch, 0.5)
    assert sql("select count(*) from public.studio_refusedwrites") == [(0,)]


def test_of_a_server_elsewhere_nothing_is_known(agent: Agent, page: Client) -> None:
    # the tests' own is one
    assert disk.used() is None
    assert disk.warning() == ""
    full_disk.keep_room()
    assert rights(agent) == (True, True, True, True)
    assert "The disk of the database" not in text(page.get("/agents/"))


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.9, "The disk of the database is 90 % full. Make room on it: from 95 % on, agents cannot write."),
        (0.999, "The disk of the database is 99 % full. Make room on it: until there is, agents cannot write."),
    ],
)
@pytest.mark.parametrize("path", ["/agents/", "/agents/agt-ada/threads/", "/audit/", "/agents/nowhere/"])
def test_pages_warn(
    page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch, share: float, said: str, path: str
) -> None:
    monkeypatch.setattr(disk, "used", lambda: share)
    assert said in text(page.get(path))


def test_who_is_not_signed_in_is_not_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "used", lambda: 0.99)
    assert "disk" not in text(Client().get("/sign-in/"))
