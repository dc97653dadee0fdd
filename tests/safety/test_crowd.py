"""Hostile agents hold all that they can get, and an admin signs in and saves in time."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import httpx
import psycopg
import pytest

from studio import postgres
from tests.markup import Page
from tests.rounds import rounds
from tests.safety.faults import Breakable, breakable
from tests.studio.serve.running import passable

# twenty keep this machine from all other tests
AGENTS = rounds(4, 20)
SECONDS = 3
# the machine may be busy with other tests
LET_PASS = 3
TRIES = rounds(2, 6)
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
# one agent's connections do these in turn
HOLD = "begin; insert into agno_sessions (session_id, session_type, created_at) values (gen_random_uuid(), 'agent', 1)"
SORT = "select count(*) from (select generate_series(1, 3000000) n order by n desc offset 1) x"
SPIN = "select count(*) from generate_series(1, 50000000)"
SPILL = """
    set work_mem = '64kB';
    select count(*) from (select repeat('x', 900) || n from generate_series(1, 400000) n order by 1 offset 1) x"""


def harass(dsn: str, over: threading.Event, taken: Counter[str]) -> None:
    """Take every connection that an agent may have; with the first ones work, with the others hold a transaction."""
    held: list[psycopg.Connection] = []
    while not over.is_set():
        try:
            connection = psycopg.connect(dsn, autocommit=True, connect_timeout=5)
            connection.execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0")
            connection.execute(HOLD)
            held.append(connection)
            taken["held"] += 1
        except psycopg.Error:
            taken["refused"] += 1
            over.wait(0.2)
    for connection in held:
        connection.close()


def again(statement: str) -> Callable[[str, threading.Event, Counter[str]], None]:
    def work(dsn: str, over: threading.Event, taken: Counter[str]) -> None:
        while not over.is_set():
            with suppress(psycopg.Error), psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
                connection.execute("set statement_timeout = 0; set max_parallel_workers_per_gather = 2")
                connection.execute(statement)
                taken["worked"] += 1

    return work


def guess(dsn: str, over: threading.Event, taken: Counter[str]) -> None:
    wrong = psycopg.conninfo.make_conninfo(dsn, password="wrong")
    while not over.is_set():
        with suppress(psycopg.Error):
            psycopg.connect(wrong, connect_timeout=5)
        taken["guessed"] += 1


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
        assert "Saved." in form.send(browser, page, description=f"Turn {turn}").text
    return time.monotonic() - began


@pytest.mark.attack
def test_an_admin_signs_in_and_saves_among_hostile_agents() -> None:
    with passable() as place, breakable(place / "var") as thing:
        *dsns, email = thing.manage("shell", "--no-imports", "--command", MAKE).split()
        alone = sign_in_and_save(thing, email, -1)
        over, taken = threading.Event(), Counter[str]()
        jobs = [(work, dsn) for dsn in dsns for work in (harass, again(SORT), again(SPIN), again(SPILL), guess)]
        threads = [threading.Thread(target=work, args=(dsn, over, taken)) for work, dsn in jobs]
        for one in threads:
            one.start()
        try:
            time.sleep(rounds(5, 30))
            took = [sign_in_and_save(thing, email, turn) for turn in range(TRIES)]
            (sessions,) = thing.sql("select count(*) from pg_stat_activity where usename like 'ag%'")[0]
        finally:
            over.set()
            end(thing, threads)
    print(f"alone {alone:.2f} s; with {sessions} sessions of {AGENTS} hostile agents {[round(s, 2) for s in took]} s")
    print(f"their statements, guesses and refusals meanwhile: {dict(taken)}")
    assert sessions > 5 * AGENTS
    assert sorted(took)[len(took) // 2] < SECONDS * LET_PASS


def end(thing: Breakable, threads: list[threading.Thread]) -> None:
    for _ in range(30):
        # statements that run for long end with their sessions
        with psycopg.connect(_superuser(thing), autocommit=True) as superuser:
            superuser.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'ag%'")
        if not any(one.is_alive() for one in threads):
            return
        time.sleep(0.5)


def _superuser(thing: Breakable) -> str:
    return postgres.url(postgres.superuser_parts(thing.data_dir))
