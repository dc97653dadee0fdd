"""Whoever starts the studio, and from wherever, it runs."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from studio import postgres
from studio.postgres import home
from tests.studio.serve.people import other_user
from tests.studio.serve.running import ask, get, postmaster, running


def test_an_ordinary_user(fresh: Path) -> None:
    with other_user() as (user, checkout):
        for path in (fresh.parent, fresh, *fresh.rglob("*")):
            os.chown(path, user.uid, user.gid)
        fresh.parent.chmod(0o700)
        with running(fresh, checkout) as studio:
            assert get(studio.link) == 200
            assert postmaster(fresh).username() == user.name
        assert studio.process.returncode == 0
        assert not any(fresh.rglob("postmaster.pid"))


def test_a_directory_that_the_database_may_not_enter(fresh: Path) -> None:
    """Root's database goes to /var/lib then, and the start says so; others' stays where it is."""
    fresh.parent.chmod(0o700)
    home = postgres.locate(fresh)
    inside = fresh / "postgres"
    try:
        with running(fresh) as studio:
            assert ask(fresh, "select 1") == 1
            assert (home / "data" / "PG_VERSION").exists()
        assert postgres.locate(fresh) == home
        if os.geteuid() == 0:
            assert home.parent == Path("/var/lib")
            assert f"The database is in {home}" in studio.said()
            assert not inside.exists()
        else:
            assert home == inside
    finally:
        if home != inside:
            shutil.rmtree(home)


def test_a_database_that_exists_is_not_looked_for_elsewhere(place: Path) -> None:
    """Closing a directory later must not make a second, empty database."""
    (place / "var" / "postgres" / "data").mkdir(parents=True)
    place.chmod(0o700)
    assert postgres.locate(place / "var") == (place / "var" / "postgres").resolve()


def test_programs_that_the_databases_user_cannot_read_are_copied(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.postgres.binaries._runs", lambda user, programs: user is None)
    data_dir = place / "var"
    try:
        postgres.start(data_dir)
        assert ask(data_dir, "select 1") == 1
        copied = list(postgres.locate(data_dir).glob("server-*"))
        assert len(copied) == (1 if os.geteuid() == 0 else 0)
        if copied:
            assert postmaster(data_dir).exe().startswith(str(copied[0]))
    finally:
        postgres.stop(data_dir)


def test_a_database_of_root_is_refused_with_the_way_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "data").mkdir()
    if os.geteuid() == 0:
        with pytest.raises(postgres.StartFailure, match="chown -R"):
            home.account(place)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(postgres.StartFailure, match="belongs to another user"):
            home.account(place)


@pytest.mark.parametrize("name", ["with space", "q'u\"o\\te", "a,b", "$HOME;`x`", "ünï", "long" * 40])
def test_any_name_of_a_directory(place: Path, name: str) -> None:
    data_dir = place / name
    sockets = home.socket_dir(postgres.locate(data_dir))
    try:
        postgres.start(data_dir)
        assert ask(data_dir, "select current_user") == "studio"
    finally:
        postgres.stop(data_dir)
        if place not in sockets.parents:
            shutil.rmtree(sockets)


def test_a_socket_directory_that_somebody_else_made_is_refused() -> None:
    path = Path(tempfile.mkdtemp(prefix="studio-launch-"))
    path.chmod(0o777)
    try:
        with pytest.raises(postgres.StartFailure, match="only the database's user may enter"):
            home.own_dir(path, None)
    finally:
        path.rmdir()
