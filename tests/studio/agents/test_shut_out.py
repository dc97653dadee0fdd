"""Before the sessions of an agent's role are ended, nobody can come in by it any more."""

import pytest

from studio.agents import database_role, role_sessions
from studio.models import Agent
from tests.world import sql


def test_the_role_may_not_log_in_when_its_sessions_are_ended(ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    name, really, seen = database_role.find(ada).name, role_sessions.end, list[bool]()

    def end(role: str) -> set[int]:
        seen.append(sql("select rolcanlogin from pg_roles where rolname = %s", role)[0][0])
        return really(role)

    monkeypatch.setattr(role_sessions, "end", end)
    assert sql("select rolcanlogin from pg_roles where rolname = %s", name) == [(True,)]
    role_sessions.shut_out(name)
    assert seen == [False] * role_sessions.QUIET
