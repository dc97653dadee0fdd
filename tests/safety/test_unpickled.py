"""Nothing that is stored is run: rows of the cache and of sessions are data, whoever wrote them."""

import base64
import json
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends import db
from django.core import signing
from django.core.cache import cache
from django.test import Client

from tests.world import is_in, sql

pytestmark = pytest.mark.django_db
KEY = "limits"


class Bomb:
    """What makes a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def row() -> str:
    return cache.make_key(KEY)


def store(value: str, key: str = "") -> None:
    sql("delete from studio_cache where cache_key = %s", key or row())
    sql("insert into studio_cache values (%s, %s, now() + interval '1 hour')", key or row(), value)


def bombs(file: Path) -> list[bytes]:
    return [pickle.dumps(Bomb(file), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]


def test_the_bomb_works(tmp_path: Path) -> None:
    for bomb in bombs(tmp_path / "ran"):
        pickle.loads(bomb)
        assert (tmp_path / "ran").exists()
        (tmp_path / "ran").unlink()


def test_a_bomb_in_the_cache_is_a_miss(tmp_path: Path) -> None:
    for bomb in bombs(tmp_path / "ran"):
        for text in (base64.b64encode(bomb).decode(), bomb.decode("latin1").replace("\0", "")):
            store(text)
            assert cache.get(KEY, "missed") == "missed"
            assert cache.get_many([KEY]) == {}
            assert cache.add(KEY, 1) is False
    assert not (tmp_path / "ran").exists()


def test_a_bomb_in_a_session_is_no_session(page: Client, tmp_path: Path) -> None:
    key = page.session.session_key
    for bomb in bombs(tmp_path / "ran"):
        packed = base64.b64encode(bomb).decode()
        # as Django has stored sessions, with a valid signature too
        signed = signing.TimestampSigner(salt=db.SessionStore().key_salt).sign(packed)
        for data in (packed, signed, signed.replace("=", "")):
            sql("update django_session set session_data = %s where session_key = %s", data, key)
            assert not is_in(page)
            assert Client(headers={"cookie": f"session={key}"}).get("/sign-in/").status_code == 200
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("stored", ["", "nonsense", "{", "9" * 5000, "[" * 100_000, "gASVAA=="])
def test_what_is_no_json_is_a_miss_and_can_be_replaced(stored: str) -> None:
    store(stored)
    assert cache.get(KEY, "missed") == "missed"
    cache.set(KEY, [1.5, "a"])
    assert cache.get(KEY) == [1.5, "a"]


def test_a_value_that_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        cache.set(KEY, object())


def test_values_are_stored_as_json_until_they_expire() -> None:
    value = {"times": [time.time(), 3], "who": "\0 😀 ש", "on": None}
    cache.set(KEY, value, 60)
    assert cache.get(KEY) == value
    assert [json.loads(stored) for (stored,) in sql("select value from studio_cache where cache_key = %s", row())] == [
        value
    ]
    assert cache.add(KEY, 2) is False
    assert cache.touch(KEY, -1)
    assert (cache.get(KEY), cache.touch(KEY), cache.has_key(KEY)) == (None, False, False)
    assert cache.add(KEY, 2, None)
    assert cache.incr(KEY) == 3
    assert cache.delete(KEY)
    assert not cache.delete(KEY)


def test_the_cache_keeps_no_more_than_it_may(settings: Any) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "OPTIONS": {"MAX_ENTRIES": 20}}}
    for number in range(250):
        cache.set(f"filler-{number}", number, 60 + number)
        cache.set("expired", 1, -1)
    assert sql("select count(*) from studio_cache where cache_key like '%%filler%%'")[0][0] <= 120
    assert cache.get("filler-249") == 249
