"""Files that are made once, such as the secret key and passwords."""

import secrets
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from studio.postgres import StartFailure
from studio.postgres.kept_files import locked, make_once


def secret_key(data_dir: Path) -> str:
    return make_once(data_dir / "secret_key", lambda: secrets.token_urlsafe(48))


def test_many_that_start_together_get_one_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(8, mp_context=get_context("fork")) as pool:
        keys = set(pool.map(secret_key, [tmp_path / "var"] * 40))
    assert len(keys) == 1
    assert len(keys.pop()) >= 50
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    secret_key(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_it_stays(tmp_path: Path) -> None:
    assert make_once(tmp_path / "x", lambda: "first") == make_once(tmp_path / "x", lambda: "second") == "first"


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartFailure, match=r"^Cannot write to .*/file/var \(Not a directory\): set DATA_DIR"):
        secret_key(tmp_path / "file" / "var")


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with locked(tmp_path / "lock") as first, locked(tmp_path / "lock", wait=False) as second:
        assert (first, second) == (True, False)
    with locked(tmp_path / "lock") as again:
        assert again
