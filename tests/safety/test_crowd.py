"""Hostile agents hold all that they can get, and an admin signs in and saves in time."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from studio import postgres
from tests.markup import Page
from tests.postgres import ROOT
from tests.rounds import rounds
from tests.safety.faults import Breakable, breakable
from tests.studio.serve.running import passable

# twenty keep this machine from all other tests
AGENTS = rounds(4, 20)
# The figure is printed. Other tests may keep the machine busy meanwhile, so what fails is not to get in.
SECONDS = 30
TRIES = rounds(2, 4)
PASSWORD = "correct horse battery staple"

MAKE = f"""
from studio.agents import connection, provision
from studio.audit.record import Actor
from studio.models import User
for n in range({AGENTS}):
    agent = provision.create_agent(Actor.system(), agent_id=f"hostile-{{n}}", name=f"Hostile {{n}}")
    print(connection.reveal(Actor.system(), agent))
provision.create_agent(Actor.system(), agent_id="good", name="Good")
admin = User.objects.get()
admin.set_password({PASSWORD!r})
admin.save()
print(admin.email)
"""


@contextmanager
def hostile(thing: Breakable, dsns: list[str]) -> Iterator[None]:
    """Let the agents do their worst, in another process than who measures."""
    command = [sys.executable, "-m", "tests.safety.hostile", *dsns]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield
    finally:
        process.stdin.close()
        end(thing, process)
        print(f"their statements, guesses and refusals meanwhile: {process.stdout.read().strip()}")


def sign_in_and_save(thing: Breakable, email: str, turn: int) -> float:
    began = time.monotonic()
    with httpx.Client(base_url=thing.studio.url, follow_redirects=True, timeout=60) as browser:
        page = browser.get("/sign-in/")
        form = next(form for form in Page(page.text).forms if "password" in form.fields)
        answer = form.send(browser, page, login=email, password=PASSWORD)
        assert answer.status_code == 200, thing.studio.said()[-3000:]
        assert "session" in browser.cookies
        page = browser.get("/agents/good/edit/")
        form = next(form for form in Page(page.text).forms if "model_name" in form.fields)
        answer = form.send(browser, page, description=f"Turn {turn}")
        while answer.status_code == 503 and time.monotonic() - began < SECONDS:
            answer = form.send(browser, page, description=f"Turn {turn}")
        assert "Saved." in answer.text
    return time.monotonic() - began


@pytest.mark.attack
def test_an_admin_signs_in_and_saves_among_hostile_agents() -> None:
    with passable() as place, breakable(place / "var") as thing:
        *dsns, email = thing.manage("shell", "--no-imports", "--command", MAKE).split()
        alone = sign_in_and_save(thing, email, -1)
        with hostile(thing, dsns):
            time.sleep(rounds(5, 15))
            took = [sign_in_and_save(thing, email, turn) for turn in range(TRIES)]
            (sessions,) = thing.sql("select count(*) from pg_stat_activity where usename like 'ag%'")[0]
    print(f"alone {alone:.2f} s; with {sessions} sessions of {AGENTS} hostile agents {[round(s, 2) for s in took]} s")
    assert sessions > 5 * AGENTS
    assert sorted(took)[len(took) // 2] < SECONDS


def end(thing: Breakable, process: subprocess.Popen[str]) -> None:
    for _ in range(30):
        # statements that run for long end with their sessions
        with psycopg.connect(_superuser(thing), autocommit=True) as superuser:
            superuser.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'ag%'")
        if process.poll() is not None:
            return
        time.sleep(0.5)


def _superuser(thing: Breakable) -> str:
    return postgres.url(postgres.superuser_parts(thing.data_dir))
