"""Which server runs a database: the bundled one, or one of this machine that compresses by lz4."""

import re
import sys
from pathlib import Path

import pytest

from studio import postgres
from studio.postgres import binaries
from studio.postgres.choice import bin_dir, choose, is_bundled
from studio.postgres.server import _letters
from tests.studio.postgres.machine import machine_server, made_of_the_bundled, stand_in
from tests.studio.serve.running import ask, postmaster


@pytest.fixture
def machine(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where servers are only below the returned directory."""
    path = place / "usr"
    path.mkdir()
    monkeypatch.setattr(binaries, "USUAL", (f"{path}/*/bin",))
    monkeypatch.setenv("PATH", str(path / "path"))
    return path


def database(home: Path, major: int) -> Path:
    """A database that was made by some version."""
    (home / "data").mkdir(parents=True)
    (home / "data" / "PG_VERSION").write_text(f"{major}\n")
    return home


def test_auto_takes_the_newest_server_that_suits(place: Path, machine: Path) -> None:
    stand_in(machine / "14" / "bin", "14.9")
    stand_in(machine / "16" / "bin", "16.4 (Debian 16.4-1)")
    wanted = stand_in(machine / "17" / "bin", "17beta2")
    stand_in(machine / "18" / "bin", "18.1", lz4=False)
    (machine / "19" / "bin").mkdir(parents=True)
    found = choose(place, None, "auto")
    assert (found.directory, found.major, found.lz4) == (wanted, 17, True)
    assert bin_dir(place, None) == wanted


def test_auto_asks_the_pg_config_of_the_path(place: Path, machine: Path) -> None:
    wanted = stand_in(place / "elsewhere", "16.4")
    (machine / "path").mkdir()
    (machine / "path" / "pg_config").write_text(f"#!/bin/sh\necho {wanted}\n")
    (machine / "path" / "pg_config").chmod(0o755)
    assert choose(place, None, "auto").directory == wanted


def test_auto_that_finds_none_takes_the_bundled_server(place: Path, machine: Path) -> None:
    stand_in(machine / "14" / "bin", "14.9")
    assert choose(place, None, "auto").directory == binaries.bundled(place, None)
    assert is_bundled(place)


def test_nothing_is_looked_for_unless_asked(place: Path, machine: Path) -> None:
    stand_in(machine / "17" / "bin", "17.1")
    assert choose(place, None, "").directory == binaries.bundled(place, None)


@pytest.mark.parametrize(
    ("version", "lz4", "why"),
    [
        ("14.9", True, "is Postgres 14.9, and the studio needs 15 or newer"),
        ("17.1", False, "was built without lz4"),
        ("none", True, "has a postgres that this user cannot run"),
    ],
)
def test_a_named_server_that_does_not_suit_is_refused(place: Path, version: str, lz4: bool, why: str) -> None:
    path = stand_in(place / "bin", version, lz4=lz4)
    with pytest.raises(postgres.StartFailure, match=f"POSTGRES_BIN={re.escape(str(path))} {why}.*leave it out"):
        choose(place, None, str(path))


def test_a_directory_without_programs_is_refused(place: Path) -> None:
    with pytest.raises(postgres.StartFailure, match="has no initdb"):
        choose(place, None, str(place))


def test_a_database_keeps_its_server(place: Path, machine: Path) -> None:
    """Also when POSTGRES_BIN is left out later, or a newer server is installed."""
    first = stand_in(machine / "16" / "bin", "16.4")
    choose(place, None, "auto")
    database(place, 16)
    stand_in(machine / "17" / "bin", "17.1")
    assert choose(place, None, "").directory == first
    assert choose(place, None, "auto").directory == first


def test_auto_does_not_move_a_database_off_the_bundled_server(place: Path, machine: Path) -> None:
    own = binaries.examine(binaries.bundled(place, None), None)
    stand_in(machine / "own" / "bin", own.version)
    database(place, own.major)
    assert choose(place, None, "auto") == own


def test_another_server_of_the_same_version_may_take_over(place: Path) -> None:
    choose(place, None, str(stand_in(place / "old", "16.4")))
    database(place, 16)
    new = stand_in(place / "new", "16.9")
    assert choose(place, None, str(new)).directory == new
    assert choose(place, None, "").directory == new


def test_a_server_of_another_version_is_refused(place: Path) -> None:
    first = stand_in(place / "first", "16.4")
    choose(place, None, str(first))
    database(place, 16)
    other = stand_in(place / "other", "17.1")
    with pytest.raises(postgres.StartFailure, match=r"needs Postgres 16.* is Postgres 17\.1: leave POSTGRES_BIN out"):
        choose(place, None, str(other))
    assert choose(place, None, "").directory == first


def test_a_server_that_is_gone_or_was_upgraded_is_named(place: Path) -> None:
    programs = stand_in(place / "bin", "16.4")
    choose(place, None, str(programs))
    database(place, 16)
    programs.rename(place / "gone")
    with pytest.raises(postgres.StartFailure, match=r"needs Postgres 16, and .*/bin has no initdb: install that"):
        choose(place, None, "")
    stand_in(place / "bin", "17.1")
    with pytest.raises(postgres.StartFailure, match=r"set POSTGRES_BIN to the programs of a Postgres 16 with lz4"):
        choose(place, None, "")


def test_a_database_that_has_lz4_is_not_given_to_a_server_without(place: Path) -> None:
    choose(place, None, str(stand_in(place / "bin", "16.4")))
    database(place, 16)
    (place / "bin").rename(place / "gone")
    stand_in(place / "bin", "16.4", lz4=False)
    with pytest.raises(postgres.StartFailure, match="was built without lz4"):
        choose(place, None, "")


def test_a_database_of_an_older_bundled_server_says_what_to_do(place: Path) -> None:
    database(place, 17)
    with pytest.raises(postgres.StartFailure, match=r"needs Postgres 17, and .* is Postgres \d+\.\d+: install that"):
        choose(place, None, "")


def test_texts_are_sorted_the_same_by_all_versions() -> None:
    old, new = (binaries.Programs(Path(), version, True) for version in ("16.4", "17.1"))
    assert _letters(new) == ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    assert _letters(old) == [f"--lc-ctype={'en_US' if sys.platform == 'darwin' else 'C'}.UTF-8"]


SORTED = "select string_agg(x, '' order by x) from unnest(array['b', 'é', 'Z', 'a', 'ß', '😀', 'É', '-']) x"


def test_a_server_of_this_machine_runs_the_database(place: Path) -> None:
    data_dir = place / "var"
    with machine_server() as programs:
        try:
            postgres.start(data_dir, wanted=str(programs))
            said = postgres.describe(data_dir, str(programs))
            assert said.startswith("The database is Postgres ")
            assert f" of {programs}, " in said
            postgres.stop(data_dir)
            # who starts it later need not say it again
            postgres.start(data_dir)
            assert postgres.describe(data_dir, "") == said
            assert ask(data_dir, SORTED) == "-ZabÉßé😀"
            assert ask(data_dir, "select lower('ÀÉŽЯ')") == "àéžя"
            ask(data_dir, "create table kept as select repeat('word ', 9999) as t")
            compressed = ask(data_dir, "select pg_column_compression(t) from kept")
            assert said.endswith(f"compressed by {compressed}.")
        finally:
            postgres.stop(data_dir)


def test_a_server_made_of_the_bundled_one_runs_too(place: Path) -> None:
    """So that a server of its own is tried where the machine has none."""
    programs, data_dir = made_of_the_bundled(place), place / "var"
    try:
        postgres.start(data_dir, wanted=str(programs))
        assert postmaster(data_dir).exe() == str(programs / "postgres.bundled")
        assert ask(data_dir, SORTED) == "-ZabÉßé😀"
    finally:
        postgres.stop(data_dir)


def test_the_bundled_server_says_nothing_unless_another_was_wanted(place: Path, machine: Path) -> None:
    data_dir = place / "var"
    try:
        postgres.start(data_dir, wanted="auto")
        assert "no other with lz4 was found" in postgres.describe(data_dir, "auto")
        assert postgres.describe(data_dir, "") == ""
    finally:
        postgres.stop(data_dir)
