"""Agents that hold all that they can get, in a process of their own: `python -m tests.safety.hostile DSN ...`.

They go on until standard input ends, then say as JSON what they did.
"""

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psycopg

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


WORK = (harass, again(SORT), again(SPIN), again(SPILL), guess)


def main() -> None:
    over, taken = threading.Event(), Counter[str]()
    jobs = [(work, dsn) for dsn in sys.argv[1:] for work in WORK]
    threads = [threading.Thread(target=work, args=(dsn, over, taken)) for work, dsn in jobs]
    for one in threads:
        one.start()
    sys.stdin.read()
    over.set()
    for one in threads:
        one.join()
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
