"""What agents can take of the bundled server together: connections, disk, the log, and what they see of each other."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from studio import postgres
from studio.postgres import quotas
from studio.postgres.scram import scram_verifier
from tests.rounds import rounds
from tests.studio.serve.running import passable

CANARY = "canary-of-a-transcript"
FORGED = "2026-01-01 00:00:00 UTC [1] LOG:  forged"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with passable() as path:
        # small files, so that a few failed logins fill some
        postgres.start(path, {"log_rotation_size": "64kB"})
        yield path
        postgres.stop(path)


@pytest.fixture(scope="module")
def agent(place: Path) -> str:
    """The DSN of a role as an agent's is, without a limit of its own."""
    with psycopg.connect(postgres.dsn(place), autocommit=True) as studio:
        studio.execute("create schema ag_x; create schema ag_y; create table ag_x.mine (id int primary key, t text)")
        studio.execute("create table ag_y.theirs (id int primary key); insert into ag_y.theirs values (1)")
        for name in ("ag_x", "ag_y"):
            verifier = Literal(scram_verifier("word"))
            studio.execute(SQL("create role {} login noinherit password {}").format(Identifier(name), verifier))
            studio.execute(SQL("grant connect on database studio to {0}").format(Identifier(name)))
        studio.execute("grant usage on schema ag_x to ag_x; grant select, insert, delete on ag_x.mine to ag_x")
    return f"postgresql://ag_x:word@127.0.0.1:{postgres.tcp_port(place)}/studio"


def log(place: Path) -> str:
    files = (postgres.locate(place) / "log").iterdir()
    return "".join(file.read_text() for file in files)


class TestConnections:
    def test_however_many_agents_take_the_studio_comes_in(self, place: Path, agent: str) -> None:
        with ExitStack() as stack:
            taken = 0
            with suppress(psycopg.OperationalError):
                while taken < 1000:
                    stack.enter_context(psycopg.connect(agent)).execute("select 1")
                    taken += 1
            assert 50 < taken < 200
            for _ in range(int(quotas.RESERVED)):
                stack.enter_context(psycopg.connect(postgres.dsn(place)))
            with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
                psycopg.connect(agent)

    def test_who_does_not_say_who_it_is_is_shown_out(self, place: Path) -> None:
        with socket.create_connection(("127.0.0.1", postgres.tcp_port(place)), timeout=30) as silent:
            assert silent.recv(1) == b""


class TestDisk:
    def test_temporary_files_end_somewhere(self, agent: str) -> None:
        with psycopg.connect(agent) as session, pytest.raises(errors.ConfigurationLimitExceeded):
            session.execute("select count(*) from (select generate_series(1, 60000000) n order by 1 desc offset 1) x")

    def test_the_studios_own_do_not(self, place: Path) -> None:
        with psycopg.connect(postgres.dsn(place)) as studio:
            assert studio.execute("show temp_file_limit").fetchone() == ("-1",)


@pytest.mark.attack
class TestTheLog:
    SAYS = (
        f"do $$ begin raise log '{CANARY} %', repeat('x', {rounds(200_000, 47_000_000)}); end $$",
        f"do $$ begin raise warning E'{CANARY}\\n{FORGED}'; end $$",
        f"do $$ begin raise exception E'{CANARY}\\n{FORGED}'; end $$",
        f"select '{CANARY}'::int",
        f"select '{CANARY}'::jsonb",
        f"insert into mine values (1, '{CANARY}'), (1, '{CANARY}')",
        f'select "{CANARY}" from mine',
        f"set debug_print_parse = on; set debug_print_plan = on; select '{CANARY}'",
        f"set application_name = '{CANARY}'; select 1 / 0",
        "select id, t from ag_x.mine for update",
    )

    def test_nothing_that_an_agent_says_is_in_it(self, place: Path, agent: str) -> None:
        for statement in self.SAYS:
            with psycopg.connect(agent, options="-c search_path=ag_x") as session, suppress(psycopg.Error):
                session.execute(statement)
        said = log(place)
        assert CANARY not in said
        assert "permission denied for table" not in said

    @pytest.mark.parametrize(
        "lift",
        [
            "set log_min_messages = 'debug5'",
            "set log_min_error_statement = 'debug5'",
            "set log_error_verbosity = 'verbose'",
            "set log_statement = 'all'",
            "set log_min_duration_statement = 0",
            "set temp_file_limit = -1",
            "alter role current_user set log_min_messages = 'debug5'",
            "alter role current_user set temp_file_limit = -1",
            "alter role all set log_min_messages = 'debug5'",
            "alter database studio set log_min_messages = 'debug5'",
            "alter system set log_min_messages = 'debug5'",
            "select set_config('log_min_messages', 'debug5', false)",
            "select pg_rotate_logfile()",
        ],
    )
    def test_it_cannot_be_made_to_speak(self, agent: str, lift: str) -> None:
        with psycopg.connect(agent, autocommit=True) as session, pytest.raises(errors.InsufficientPrivilege):
            session.execute(lift)

    def test_what_an_agent_resets_of_its_own_changes_neither(self, place: Path, agent: str) -> None:
        with psycopg.connect(agent, autocommit=True) as session:
            session.execute("alter role current_user reset all")
        with psycopg.connect(agent, autocommit=True, options="-c search_path=pg_catalog") as session:
            session.execute("reset all")
            session.execute("discard all")
            assert session.execute("show log_min_messages").fetchone() == ("panic",)
            assert session.execute("show temp_file_limit").fetchone() == ("512MB",)

    def test_failing_logins_fill_no_disk_and_forge_no_line(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quotas, "LOG_FILES", 3)
        names = ["ag_x", f"no\n{FORGED}", f"no\r\n{FORGED}", '"}\n{"message": "forged"}']
        port, log = postgres.tcp_port(place), postgres.locate(place) / "log"
        written: set[str] = set()
        end = time.monotonic() + 120
        while len(written) < rounds(4, 8):
            assert time.monotonic() < end, written
            for name in names:
                with suppress(psycopg.Error):
                    psycopg.connect(host="127.0.0.1", port=port, user=name, password="x", dbname=f"n\n{FORGED}")
            written |= {file.name for file in log.glob("*.json")}
            quotas.trim_log(place)
        files = list(log.glob("*.json"))
        assert sum(file.stat().st_size for file in files) < 3 * (1 << 20)
        assert len(files) == 3
        lines = [line for file in files for line in file.read_text().splitlines()]
        # a reader that takes it by lines meets none that an agent wrote
        assert all("timestamp" in json.loads(line) for line in lines)
        assert len(lines) > 100


class TestOthers:
    @pytest.mark.parametrize(
        "query",
        [
            "select * from pg_stat_all_tables",
            "select * from pg_stat_user_tables",
            "select * from pg_stat_xact_all_tables",
            "select * from pg_statio_all_tables",
            "select * from pg_stat_all_indexes",
            "select * from pg_stat_user_functions",
            "select * from pg_stat_database",
            "select * from pg_locks",
            "select pg_lock_status()",
            "select pg_stat_get_live_tuples(c.oid) from pg_class c where relname = 'theirs'",
            "select pg_stat_get_tuples_inserted(c.oid) from pg_class c where relname = 'theirs'",
            "select pg_total_relation_size(c.oid) from pg_class c where relname = 'theirs'",
            "select pg_relation_size(c.oid) from pg_class c where relname = 'theirs'",
            "select pg_table_size(c.oid) from pg_class c where relname = 'theirs'",
            "select pg_indexes_size(c.oid) from pg_class c where relname = 'theirs'",
        ],
    )
    def test_their_counts_sizes_and_locks_are_not_told(self, place: Path, agent: str, query: str) -> None:
        with psycopg.connect(agent) as session, pytest.raises(errors.InsufficientPrivilege):
            session.execute(query)
        with psycopg.connect(postgres.dsn(place)) as studio:
            studio.execute(query)


def test_a_database_of_an_earlier_release_gets_the_same(place: Path, agent: str) -> None:
    with psycopg.connect(postgres.url(postgres.superuser_parts(place)), autocommit=True) as superuser:
        superuser.execute("alter role all reset all")
        superuser.execute("revoke pg_use_reserved_connections from studio")
    (postgres.locate(place) / "settled").write_text("1")
    # the next start finds it running
    postgres.start(place)
    with psycopg.connect(agent) as session:
        assert session.execute("show log_min_messages").fetchone() == ("panic",)
    with psycopg.connect(postgres.dsn(place)) as studio:
        held = studio.execute("select pg_has_role('pg_use_reserved_connections', 'usage')").fetchone()
    assert held == (True,)
