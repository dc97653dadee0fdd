"""An agent's password on the bundled server, whose role for the studio may make roles and nothing else."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.studio.serve.running import ROOT, environment, running

CODE = """
from studio.models import Agent
from studio.agents import connection, provision, database_role
from studio.audit.record import Actor
agent = provision.create_agent(Actor.system(), agent_id="turned", name="Turned")
database_role.ensure(agent)
print(connection.reveal(Actor.system(), agent))
database_role.rotate(Actor.system(), agent)
print(connection.reveal(Actor.system(), agent))
"""


def test_it_can_be_changed_and_the_old_one_no_longer_opens(used: Path) -> None:
    with running(used):
        command = [sys.executable, "manage.py", "shell", "--no-imports", "--command", CODE]
        done = subprocess.run(command, cwd=ROOT, env=environment(used), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        old, new = done.stdout.split()
        with psycopg.connect(new) as connection:
            assert connection.execute("select current_user").fetchone() == ("ag_turned",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(old)
