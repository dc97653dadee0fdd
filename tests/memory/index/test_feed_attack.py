"""The feed under load: many writers, several folders, kills at any moment, a long backlog, and hours of work."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest

from memory.index import feed, repair
from memory.services import upkeep
from studio import postgres
from studio.models import Agent
from tests.memory.index import oracle
from tests.memory.index.beside import Other, fold, other, where, write, write_run
from tests.rounds import rounds
from tests.safety.faults import Breakable, breakable
from tests.studio.serve.running import kill, passable, postmaster, until
from tests.world import sql

WRITERS = 32
SECONDS = rounds(3, 20)
KILLS = rounds(6, 15)
SERVER_KILLS = rounds(2, 10)
BACKLOG = rounds(8000, 50_000)
HOUR = rounds(300, 3600)


class Crowd:
    """Threads that work beside the test, each in a session of its own; their errors are kept."""

    def __init__(self, schema: str) -> None:
        self.schema, self.over, self.errors = schema, threading.Event(), list[Exception]()
        self.threads: list[threading.Thread] = []

    def add(self, work: Callable[[Other, int], None], number: int = 1) -> None:
        """Do the work again and again; it is told how often it was done."""
        for _ in range(number):
            self.threads.append(threading.Thread(target=self._work, args=[work]))
            self.threads[-1].start()

    def _work(self, work: Callable[[Other, int], None]) -> None:
        with other(self.schema) as session:
            turn = 0
            while not self.over.is_set():
                try:
                    work(session, turn)
                except Exception as error:
                    self.errors.append(error)
                turn += 1

    def end(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


@contextmanager
def crowd(agent: Agent) -> Iterator[Crowd]:
    people = Crowd(agent.schema_name)
    try:
        yield people
    finally:
        people.end()


def writes(written: list[tuple[float, str]], threads: int = 5, pause: float = 0.01) -> Callable[[Other, int], None]:
    """Work that writes runs in both layouts to threads of few users, and deletes one now and then."""

    def work(session: Other, turn: int) -> None:
        chance = random.random()
        run_id, name = f"{threading.get_ident()}-{turn}", f"s{random.randrange(threads)}"
        began = time.monotonic()
        if chance < 0.02:
            session.execute("delete from agno_runs where run_id = %s", [f"{threading.get_ident()}-{turn - 9}"])
        elif chance < 0.5:
            write(session, f"column {name}", *(f"{run_id}-{n}" for n in range(3)), user_id=f"user{turn % 3}")
        else:
            write_run(session, name, run_id, user_id=f"user{turn % 4}")
        written.append((time.monotonic() - began, run_id))
        time.sleep(pause)

    return work


def folds(session: Other, turn: int) -> None:
    """What two processes do that fold all the time; the second may give up its turn."""
    with suppress(psycopg.errors.LockNotAvailable):
        session.execute("select memory_fold(50, %s)", [turn % 3 == 0])


def reads(session: Other, turn: int) -> None:
    session.execute("select * from memory_thread order by last_at desc limit 50").fetchall()
    session.execute("select * from memory_user").fetchall()
    time.sleep(0.01)


def begin(session: Other, threads: int = 5) -> None:
    for n in range(threads):
        session.execute(
            "insert into agno_sessions (session_id, session_type, created_at) values (%s, 'agent', 1)", [f"s{n}"]
        )


def assert_all_is_counted() -> None:
    """A write may wait too long for a page of the feed; then all threads are counted again."""
    missed = sql("select last_value from memory_missed where is_called")
    print(f"{missed[0][0] if missed else 0} writes could not be noted, {feed.waiting()} wait")
    for _ in range(300):
        upkeep.fold_feeds()
        if not sql(repair._MISSED):
            break
        time.sleep(0.1)
    sum(feed.fold())
    list(repair.mend())
    oracle.assert_exact()
    assert repair.backlog() == 0
    assert feed.waiting() == 0
    assert sql(repair._MISSED) == []


@pytest.mark.attack
def test_writers_readers_and_folders_side_by_side_lose_nothing(shared: Agent, writer: Other) -> None:
    begin(writer, 300)
    written: list[tuple[float, str]] = []
    with crowd(shared) as people:
        people.add(writes(written, 300, 0.05), WRITERS)
        people.add(folds, 2)
        people.add(reads, 2)
        time.sleep(SECONDS)
    took = sorted(seconds for seconds, _ in written)
    print(f"{len(took)} writes, median {1e3 * took[len(took) // 2]:.1f} ms, worst {1e3 * took[-1]:.0f} ms")
    assert people.errors == []
    assert len(written) > WRITERS
    assert_all_is_counted()


@pytest.mark.attack
@pytest.mark.parametrize("threads", [1, 40])
def test_folders_of_the_same_and_of_other_threads_never_fail(shared: Agent, writer: Other, threads: int) -> None:
    begin(writer, threads)
    with crowd(shared) as people:
        people.add(writes([], threads), 4)
        # without a limit, so that whoever waits for the other finds what it left
        people.add(lambda session, turn: session.execute("select memory_fold(5, false)") and None, 3)
        time.sleep(SECONDS / 6)
    assert [error for error in people.errors if not isinstance(error, psycopg.errors.LockNotAvailable)] == []
    assert_all_is_counted()


FOLDER = """
import psycopg, sys
with psycopg.connect(sys.argv[1], autocommit=True) as session:
    while True:
        session.execute("select memory_fold(20, false)")
"""


@pytest.mark.attack
def test_a_killed_folder_leaves_nothing_uncounted(shared: Agent, writer: Other) -> None:
    """The process goes by SIGKILL, and its session in the middle of a statement."""
    begin(writer)
    chance = random.Random(9)
    place = psycopg.conninfo.make_conninfo(**where(), options=f"-c search_path={shared.schema_name}")
    in_the_middle = 0
    with crowd(shared) as people:
        people.add(writes([]), 4)
        for n in range(KILLS):
            folder = subprocess.Popen([sys.executable, "-c", FOLDER, place], stderr=subprocess.DEVNULL)
            until(lambda: backends(writer), 20)
            time.sleep(chance.random() / 5)
            if n % 2:
                in_the_middle += sum(state == "active" for _, state in backends(writer))
                writer.execute("select pg_terminate_backend(%s)", [backends(writer)[0][0]])
            folder.kill()
            folder.wait()
            until(lambda: not backends(writer), 20)
    print(f"{KILLS} kills, {in_the_middle} in the middle of a fold")
    assert people.errors == []
    assert_all_is_counted()


def backends(session: Other) -> list[tuple[int, str]]:
    return session.execute(
        "select pid, state from pg_stat_activity where query like 'select memory_fold(20%' and pid <> pg_backend_pid()"
    ).fetchall()


@pytest.mark.attack
def test_a_killed_server_counts_what_was_written_before() -> None:
    """The whole studio, whose upkeep folds; the database goes between a write and its fold, or within one."""
    chance = random.Random(4)
    with passable() as place, breakable(place / "var") as thing:
        schema = thing.create_agent("frail")
        kept: list[str] = []
        for n in range(SERVER_KILLS):
            until(lambda: is_up(thing), 60)
            kept += write_for(thing, schema, f"k{n}", chance.random())
            kill(postmaster(thing.data_dir))
        until(lambda: is_up(thing), 60)
        found = {row[0] for row in thing.sql(f"select run_id from {schema}.agno_runs")}
        assert set(kept) <= found
        print(f"{SERVER_KILLS} kills of the server, {len(kept)} runs written")
        assert "the index is exact" in thing.manage("thread_index", "check", "--agent", "frail")
        assert thing.sql(f"select count(*) from {schema}.memory_backlog") == [(0,)]


def is_up(thing: Breakable) -> bool:
    try:
        return thing.sql("select 1") == [(1,)]
    except (psycopg.Error, OSError):
        return False


def write_for(thing: Breakable, schema: str, name: str, seconds: float) -> list[str]:
    """Write runs for a while, and return the ids of those that were committed."""
    kept: list[str] = []
    end = time.monotonic() + seconds
    with psycopg.connect(postgres.dsn(thing.data_dir), autocommit=True) as session:
        session.execute(f"set search_path to {schema}")
        write(session, name)
        while time.monotonic() < end:
            run_id = f"{name}-{len(kept)}"
            write_run(session, name, run_id)
            kept.append(run_id)
    return kept


def pages_of(session: Other, statement: str) -> int:
    """Run a statement and return the number of pages that it looked at."""
    (plan,) = session.execute(f"explain (analyze, buffers, format json) {statement}").fetchone() or ([],)
    return int(plan[0]["Plan"]["Shared Hit Blocks"]) + int(plan[0]["Plan"]["Shared Read Blocks"])


@pytest.mark.attack
def test_a_backlog_is_folded_at_the_same_cost_to_its_end(shared: Agent, writer: Other) -> None:
    writer.execute(
        "insert into agno_sessions (session_id, session_type, user_id, runs, created_at)"
        " select md5(n::text), 'agent', 'u' || n %% 999, %s, n from generate_series(1, %s) n",
        [json.dumps([{"run_id": "r", "content": "Hi"}]), BACKLOG],
    )
    left, costs = BACKLOG, []
    began = time.monotonic()
    while left:
        costs.append(pages_of(writer, "select memory_fold(200, false)"))
        left -= 200
    # the index itself grows from nothing, so the first batches do not count
    early, late = (sum(part) / len(part) for part in (costs[5:15], costs[-10:]))
    print(
        f"{BACKLOG} rows in {time.monotonic() - began:.0f} s; pages a batch: {early:.0f} at first, {late:.0f} at last"
    )
    assert feed.waiting() == 0
    assert late < 2 * early
    assert sql("select count(*) from memory_thread") == [(BACKLOG,)]
    assert repair.differences(repair.thread_ids(None, 50)) == []


@pytest.mark.attack
def test_an_hour_of_load_leaves_a_feed_of_a_few_pages(shared: Agent, writer: Other) -> None:
    """One round stands for a second: some writes and a fold, and the upkeep each minute."""
    begin(writer)
    sizes = []
    for second in range(HOUR):
        for n in range(5):
            writer.execute("update agno_sessions set updated_at = %s where session_id = %s", [second, f"s{n}"])
        fold(writer)
        if second % 60 == 59:
            upkeep.tidy_up()
            sizes.append(writer.execute("select pg_relation_size('memory_feed') / 8192").fetchone()[0])  # type: ignore[index]
    print(f"pages of the feed, each minute: {sizes}")
    assert max(sizes[1:]) <= 2 * sizes[0] <= 20
    assert feed.waiting() == 0
    assert_all_is_counted()


@pytest.mark.attack
def test_a_page_of_the_feed_is_never_cut_off_while_a_writer_is_at_work(shared: Agent, writer: Other) -> None:
    writer.execute(
        "insert into agno_sessions (session_id, session_type, created_at) select 's' || n, 'agent', 1"
        " from generate_series(1, 3000) n"
    )
    fold(writer, 1000)
    before = sql("select pg_relation_size('memory_feed')")
    upkeep.tidy_up()
    assert sql("select pg_relation_size('memory_feed')") == before
