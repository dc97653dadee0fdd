"""The bundled server: who may do what, crashes, ports."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Literal

from studio import postgres
from studio.postgres import server
from studio.postgres.dsn import is_free
from studio.postgres.kept_files import StartFailure, replace
from studio.postgres.scram import scram_verifier
from tests.studio.serve.running import ask, kill, passable, postmaster, until


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with passable() as path:
        yield path
        postgres.stop(path)


@pytest.fixture
def data_dir(made: Path) -> Path:
    """A running server, as a first start leaves it; started again where a failed test left it stopped."""
    postgres.start(made)
    return made


@pytest.fixture
def superuser(data_dir: Path) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.url(postgres.superuser_parts(data_dir)), autocommit=True) as connection:
        yield connection


@pytest.fixture
def stranger(superuser: psycopg.Connection, data_dir: Path) -> Iterator[str]:
    """The DSN of a role that was granted nothing."""
    superuser.execute(SQL("create role stranger login password {}").format(Literal(scram_verifier("word"))))
    yield f"postgresql://stranger:word@127.0.0.1:{postgres.tcp_port(data_dir)}"
    superuser.execute("drop owned by stranger")
    superuser.execute("revoke connect on database studio from stranger")
    superuser.execute("drop role stranger")


def one(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def test_the_studio_is_no_superuser_but_may_make_roles_and_schemas(data_dir: Path) -> None:
    with psycopg.connect(postgres.dsn(data_dir)) as studio:
        role = "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles"
        assert one(studio, f"{role} where rolname = current_user") == (False, True, False, False, False)
        assert one(studio, "select pg_get_userbyid(datdba) from pg_database where datname = 'studio'") == "studio"
        studio.execute("create schema ag_x")
        studio.execute("create table public.mine (n int)")
        studio.execute("create role ag_x login nosuperuser noinherit")
        studio.execute("grant connect on database studio to ag_x")
        studio.rollback()


@pytest.mark.parametrize("name", ["studio", "postgres", "template1"])
def test_a_role_may_not_even_connect_unless_granted(stranger: str, name: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(f"{stranger}/{name}")


@pytest.mark.parametrize(
    "statement",
    [
        "create table public.mine (n int)",
        "select * from public.theirs",
        "create temp table mine (n int)",
        "create schema mine",
        "select lo_create(0)",
        "select lo_from_bytea(0, 'x')",
    ],
)
def test_a_role_that_may_connect_may_do_nothing_else(
    data_dir: Path, superuser: psycopg.Connection, stranger: str, statement: str
) -> None:
    ask(data_dir, "create table if not exists public.theirs (n int)")
    superuser.execute("grant connect on database studio to stranger")
    with psycopg.connect(f"{stranger}/studio") as client, pytest.raises(psycopg.errors.InsufficientPrivilege):
        client.execute(statement)


def test_the_superuser_comes_by_the_socket_only(data_dir: Path) -> None:
    parts = postgres.superuser_parts(data_dir)
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        psycopg.connect(
            host="127.0.0.1",
            port=postgres.tcp_port(data_dir),
            user="postgres",
            password=parts["password"],
            dbname="postgres",
        )


def test_nobody_comes_without_a_password(data_dir: Path) -> None:
    parts = postgres.dsn_parts(data_dir)
    for host, port in ((parts["host"], parts["port"]), ("127.0.0.1", postgres.tcp_port(data_dir))):
        with pytest.raises(psycopg.OperationalError, match=r"password"):
            psycopg.connect(host=host, port=port, user="studio", dbname="studio", password="")


def test_it_listens_on_this_machine_only_and_loses_nothing(superuser: psycopg.Connection) -> None:
    shown = {
        name: one(superuser, f"show {name}")
        for name in ("listen_addresses", "max_connections", "fsync", "synchronous_commit", "full_page_writes", "jit")
    }
    assert shown == {
        "listen_addresses": "127.0.0.1",
        "max_connections": "200",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "jit": "off",
    }


def test_files_are_closed_to_others_and_the_log_holds_no_secret(data_dir: Path) -> None:
    home = postgres.locate(data_dir)
    for name in ("data", "run", "log"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o700
    secrets = [postgres.dsn_parts(data_dir)["password"], postgres.superuser_parts(data_dir)["password"]]
    with psycopg.connect(postgres.dsn(data_dir), autocommit=True) as client, pytest.raises(psycopg.Error):
        client.execute("select 'a transcript with a canary-word' from nowhere")
    for path in home.rglob("*"):
        if path.name in ("password", "superuser"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        elif path.is_file() and path.suffix in (".log", ".conf", ".opts", ".pid"):
            text = path.read_text(errors="replace")
            assert not [secret for secret in [*secrets, "canary-word"] if secret in text], path


def test_a_start_of_a_running_server_attaches(data_dir: Path) -> None:
    before = postmaster(data_dir)
    postgres.start(data_dir)
    assert postmaster(data_dir) == before


def test_a_lost_port_and_socket_are_found_again(data_dir: Path) -> None:
    port = postgres.tcp_port(data_dir)
    replace(postgres.locate(data_dir) / "port", "1")
    (Path(postgres.dsn_parts(data_dir)["host"]) / server.SOCKET).unlink()
    assert not postgres.answers(data_dir)
    postgres.start(data_dir)
    assert postgres.tcp_port(data_dir) == port
    assert ask(data_dir, "select 1") == 1


@pytest.mark.parametrize("whole_family", [True, False])
def test_a_server_that_was_killed_starts_again_with_everything(data_dir: Path, whole_family: bool) -> None:
    """Also when its children outlive it for a moment, which keep the next one waiting."""
    ask(data_dir, "drop table if exists kept")
    ask(data_dir, "create table kept as select generate_series(1, 1000) as n")
    first = postmaster(data_dir)
    if whole_family:
        kill(first)
    else:
        first.kill()
    postgres.start(data_dir)
    assert postmaster(data_dir) != first
    assert ask(data_dir, "select count(*) from kept") == 1000


def test_the_table_of_locks_has_room_for_more_than_agents_may_hold(data_dir: Path) -> None:
    assert ask(data_dir, "show max_locks_per_transaction") == "256"


def test_two_that_start_at_the_same_moment_do_not_share_a_port(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one takes it after this one has looked whether it is free."""
    port = postgres.tcp_port(data_dir)
    postgres.stop(data_dir)
    looked: list[int] = []

    def looks_free(port: int) -> bool:
        looked.append(port)
        return len(looked) == 1 or is_free(port)

    monkeypatch.setattr(server, "is_free", looks_free)
    with socket.create_server(("127.0.0.1", port)):
        postgres.start(data_dir)
    assert looked[:2] == [port, port]
    assert postgres.tcp_port(data_dir) != port
    assert ask(data_dir, "select current_setting('port')") == str(postgres.tcp_port(data_dir))


def test_a_start_that_fails_says_why(data_dir: Path) -> None:
    postgres.stop(data_dir)
    with pytest.raises(StartFailure, match=r'did not start: .*"no_such_parameter"'):
        postgres.start(data_dir, {"no_such_parameter": "1"})


def test_an_end_after_the_log_began_says_why(tmp_path: Path) -> None:
    postgres.start(tmp_path)
    postgres.stop(tmp_path)
    for file in (postgres.locate(tmp_path) / "data" / "pg_wal").iterdir():
        if file.is_file():
            file.unlink()
    with pytest.raises(StartFailure, match="did not start: could not locate a valid checkpoint record"):
        postgres.start(tmp_path)


def test_another_port_is_taken_when_its_own_is_gone(data_dir: Path) -> None:
    port, dsn = postgres.tcp_port(data_dir), postgres.dsn(data_dir)
    postgres.stop(data_dir)
    with socket.create_server(("127.0.0.1", port)):
        postgres.start(data_dir)
        assert postgres.tcp_port(data_dir) != port
        # Who started before this does not notice.
        assert postgres.dsn(data_dir) == dsn
        assert ask(data_dir, "select 1") == 1
        assert ask(data_dir, "select current_setting('port')") == str(postgres.tcp_port(data_dir))


def test_a_session_that_hears_no_signal_does_not_keep_it_from_its_end(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(data_dir, "drop table if exists kept")
    ask(data_dir, "create table kept as select generate_series(1, 1000) as n")
    deaf = psycopg.connect(postgres.dsn(data_dir))
    # looks for each of a million letters among a million others, and never whether it shall end
    deaf.pgconn.send_query(b"select length(translate(repeat('a', 3000000), repeat('b', 3000000), ''))")
    deaf.pgconn.flush()
    process = psutil.Process(deaf.info.backend_pid)
    before = process.cpu_times().user
    # on the way into the function it hears
    until(lambda: process.cpu_times().user > before + 0.5)
    assert ask(data_dir, f"select pg_terminate_backend({process.pid}, 1000)") is False
    monkeypatch.setattr(server, "STOP_SECONDS", 3)
    try:
        postgres.stop(data_dir)
        assert not postgres.answers(data_dir)
    finally:
        postgres.start(data_dir)
    assert ask(data_dir, "select count(*) from kept") == 1000


def test_a_first_start_that_was_cut_off_begins_again(place: Path) -> None:
    home = postgres.locate(place)
    (home / "data.new" / "base").mkdir(parents=True)
    try:
        postgres.start(place)
        assert ask(place, "select 1") == 1
    finally:
        postgres.stop(place)


def test_a_server_that_cannot_start_says_why(place: Path) -> None:
    with pytest.raises(postgres.StartFailure, match=r"The database did not start: .*max_connections.*; more in"):
        postgres.start(place, {"max_connections": "none"})
    assert not postgres.answers(place)
