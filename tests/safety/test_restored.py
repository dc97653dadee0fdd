"""What was deleted stays deleted when a backup from before is restored, by pg_dump and pg_restore of the server."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from studio.postgres.binaries import bundled
from tests.server import ServedAgent, StudioServer, new_database, serving

PROGRAMS = bundled(Path("/nowhere"), None)
KEY = "k" * 50
BEGAN = 1_700_000_000

DELETE = """
from memory.services.deletion import delete_threads
from studio.audit.record import Actor
from studio.models import Agent
import json
print(delete_threads(Actor.system(), Agent.objects.get(pk=json.loads({agent!r})), json.loads({ids!r})).threads)
"""
REMOVE = """
from studio.agents import provision
from studio.audit.record import Actor
from studio.models import Agent
import json
provision.remove_agent(Actor.system(), Agent.objects.get(pk=json.loads({agent!r})))
"""


@dataclass
class Place:
    """A database and the DATA_DIR of the studios that run on it, one after the other."""

    dsn: str
    data_dir: Path

    def dump(self, *parts: str) -> Path:
        to = self.data_dir / "backup"
        run("pg_dump", "--format=custom", *parts, f"--file={to}", self.dsn)
        return to

    def restore(self, backup: Path) -> None:
        """As an operator does whose database is lost."""
        where = conninfo_to_dict(self.dsn)
        name = Identifier(str(where["dbname"]))
        with psycopg.connect(os.environ["TEST_SUPERUSER_URL"], autocommit=True) as connection:
            connection.execute(SQL("drop database {} with (force)").format(name))
            connection.execute(SQL("create database {} owner {}").format(name, Identifier(str(where["user"]))))
        run("pg_restore", f"--dbname={self.superuser()}", str(backup))

    def superuser(self) -> str:
        return make_conninfo(os.environ["TEST_SUPERUSER_URL"], dbname=str(conninfo_to_dict(self.dsn)["dbname"]))

    def serve(self) -> Iterator[StudioServer]:
        with serving(self.dsn, self.data_dir, SECRET_KEY=KEY) as server:
            yield server


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([PROGRAMS / program, *arguments], capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    # roles are no part of a dump: that of a removed agent is gone
    assert all("role" in line and "does not exist" in line for line in errors), done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with new_database() as dsn:
        yield Place(dsn, tmp_path)


def write(agent: ServedAgent, session_id: str, at: int = BEGAN) -> None:
    """Write a thread in both of Agno's layouts, as the agent."""
    with psycopg.connect(agent.dsn) as connection:
        connection.execute(
            "insert into agno_sessions (session_id, session_type, user_id, runs, created_at, updated_at)"
            ' values (%s, \'agent\', \'alice\', \'[{"run_id": "r", "content": "secret"}]\', %s, %s)',
            [session_id, at, at],
        )
        connection.execute(
            "insert into agno_runs (run_id, session_id, run_type, run_index, status, created_at, updated_at, run_data)"
            " values (%s, %s, 'agent', 0, 'COMPLETED', %s, %s, '{}')",
            [f"run of {session_id}", session_id, at, at],
        )


def threads(server: StudioServer, agent: ServedAgent) -> set[str]:
    return {
        row[0]
        for table in ("agno_sessions", "agno_runs", "memory_thread")
        for row in server.sql(f"select session_id from {table}", schema=agent.schema)
    }


def events(server: StudioServer, action: str) -> list[tuple[str, str]]:
    return [
        tuple(row)
        for row in server.sql("select agent_id, reason from studio_auditevent where action = %s order by id", action)
    ]


def test_threads_that_a_backup_brings_back_are_deleted_again(place: Place) -> None:
    for server in place.serve():
        agents = [server.create_agent(name) for name in ("one", "two")]
        for agent in agents:
            for session_id in ("a", "b", "c", "kept"):
                write(agent, session_id)
            server.fold(agent.schema)
        backup = place.dump()
        assert server.python(DELETE, agent="one", ids=["a", "b"]).strip() == "2"
        assert server.python(DELETE, agent="two", ids=["c"]).strip() == "1"
        file = (place.data_dir / "tombstones").read_text()
        assert len(file.splitlines()) == 2
        assert "alice" not in file
        assert not any(f'"{session_id}"' in file for session_id in "abc")
    place.restore(backup)
    for server in place.serve():
        said = " ".join(server.said)
        assert "did not know 2 deletions" in said
        assert "3 threads" in said
        assert threads(server, agents[0]) == {"c", "kept"}
        assert threads(server, agents[1]) == {"a", "b", "kept"}
        assert len(events(server, "database.restored")) == 1
        again = events(server, "threads.delete")
        assert [agent for agent, _ in again] == ["one", "two"]
        assert all("restored backup" in reason for _, reason in again)
        # a run in flight does not bring it back either
        write(agents[0], "a")
        assert "a" not in threads(server, agents[0])
    for server in place.serve():
        assert "did not know" not in " ".join(server.said)
        assert len(events(server, "database.restored")) == 1
    # once more the same backup
    place.restore(backup)
    for server in place.serve():
        assert threads(server, agents[0]) == {"c", "kept"}


def test_a_schema_that_is_restored_alone_is_compared_too(place: Place) -> None:
    """The audit log knows all deletions then, and the schema does not."""
    for server in place.serve():
        agent = server.create_agent("one")
        for session_id in ("a", "kept"):
            write(agent, session_id)
        backup = place.dump(f"--schema={agent.schema}")
        assert server.python(DELETE, agent="one", ids=["a"]).strip() == "1"
    with psycopg.connect(place.dsn) as connection:
        connection.execute(SQL("drop schema {} cascade").format(Identifier(agent.schema)))
    run("pg_restore", f"--dbname={place.superuser()}", str(backup))
    for server in place.serve():
        assert "did not know 1 deletions" in " ".join(server.said)
        assert threads(server, agent) == {"kept"}
        assert "Nothing has come back" in server.manage("delete_again")
        assert len(events(server, "database.restored")) == 1


def test_a_new_talk_under_the_id_of_a_deleted_one_stays(place: Place) -> None:
    for server in place.serve():
        agent = server.create_agent("one")
        write(agent, "a")
        assert server.python(DELETE, agent="one", ids=["a"]).strip() == "1"
        write(agent, "a", BEGAN + 60)
        server.fold(agent.schema)
        backup = place.dump()
        write(agent, "b")
        assert server.python(DELETE, agent="one", ids=["b"]).strip() == "1"
    place.restore(backup)
    for server in place.serve():
        assert "did not know 1 deletions" in " ".join(server.said)
        assert threads(server, agent) == {"a"}


def test_an_agent_that_a_backup_brings_back_is_removed_again_and_named(place: Place) -> None:
    for server in place.serve():
        agent = server.create_agent("gone")
        write(agent, "a")
        server.create_agent("anew")
        backup = place.dump()
        server.python(REMOVE, agent="gone")
    place.restore(backup)
    for server in place.serve():
        assert "the agents gone" in " ".join(server.said)
        assert server.sql("select id from studio_agent") == [("anew",)]
        assert server.sql("select 1 from pg_namespace where nspname = %s", agent.schema) == []
        assert [agent for agent, reason in events(server, "agent.remove") if "restored backup" in reason] == ["gone"]


def test_a_command_does_it_without_a_start(place: Place) -> None:
    for server in place.serve():
        agent = server.create_agent("one")
        write(agent, "a")
        backup = place.dump()
        assert server.python(DELETE, agent="one", ids=["a"]).strip() == "1"
    # a running one looks every minute
    place.restore(backup)
    assert server.sql("select session_id from agno_sessions", schema=agent.schema) == [("a",)]
    assert "did not know 1 deletions" in server.manage("delete_again")
    assert threads(server, agent) == set()
    assert "Nothing has come back" in server.manage("delete_again")


def test_what_an_agent_or_a_crash_kept_out_of_the_file_is_added_by_the_next_start(place: Place) -> None:
    for server in place.serve():
        agent = server.create_agent("one")
        write(agent, "a")
        server.fold(agent.schema)
        backup = place.dump()
        # the database has it, the file not
        server.sql("delete from agno_runs", schema=agent.schema)
        server.sql("delete from agno_sessions", schema=agent.schema)
        # an event after the backup
        server.create_agent("later")
    for _ in place.serve():
        assert len((place.data_dir / "tombstones").read_text().splitlines()) == 1
    place.restore(backup)
    for server in place.serve():
        assert threads(server, agent) == set()


def test_a_line_that_a_crash_cut_off_hides_no_other(place: Place) -> None:
    for server in place.serve():
        agent = server.create_agent("one")
        for session_id in "abc":
            write(agent, session_id)
        backup = place.dump()
        assert server.python(DELETE, agent="one", ids=["a"]).strip() == "1"
        with (place.data_dir / "tombstones").open("a") as file:
            file.write('{"event": 99, "threads": [["ab')
        assert server.python(DELETE, agent="one", ids=["b"]).strip() == "1"
        assert [json.loads(line)["schema"] for line in (place.data_dir / "tombstones").open()] == [agent.schema] * 2
    place.restore(backup)
    for server in place.serve():
        assert threads(server, agent) == {"c"}


def test_verify_says_what_a_restored_backup_looks_like(place: Place) -> None:
    for server in place.serve():
        agent = server.create_agent("one")
        write(agent, "a")
        backup = place.dump()
        assert server.python(DELETE, agent="one", ids=["a"]).strip() == "1"
        server.create_agent("later")
    place.restore(backup)
    with pytest.raises(AssertionError) as error:
        server.manage("audit", "verify")
    said = str(error.value)
    assert "The database is older than" in said
    assert "events are missing" in said
    assert "does not know 1 of the deletions" in said
    assert "delete_again" in said
    server.manage("delete_again")
    (place.data_dir / "audit-head").unlink()
    assert "The audit log is whole" in server.manage("audit", "verify")


def test_a_deletion_that_cannot_be_noted_does_not_happen(place: Place) -> None:
    for server in place.serve():
        agent = server.create_agent("one")
        write(agent, "a")
        (place.data_dir / "tombstones").unlink(missing_ok=True)
        (place.data_dir / "tombstones").mkdir()
        with pytest.raises(AssertionError, match="cannot be written"):
            server.python(DELETE, agent="one", ids=["a"])
        assert server.sql("select session_id from agno_sessions", schema=agent.schema) == [("a",)]
