"""Rows of the lists of threads and users, with the texts that their templates show."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from memory.pages.words import STATUSES, Status, name_of_user
from memory.query import Row
from studio import ids
from studio.formats import compact, counted, iso, moment, since, without_markdown


@dataclass(slots=True)
class Time:
    """A stored time in UTC: as a `stamp` like 2026-11-22T08:51:07, `readable` with a space for the T, and as `ago`.

    If the stored value is no time, `stamp` is empty and the page shows `stored`.
    """

    stored: Any
    stamp: str = ""
    readable: str = ""
    ago: str = ""

    @classmethod
    def of(cls, stored: Any, now: datetime) -> "Time":
        at = moment(stored)
        if at is None:
            return cls(stored)
        stamp = iso(at)
        return cls(stored, stamp, stamp.replace("T", " "), since(at, now))


@dataclass(slots=True)
class ThreadRow:
    """A thread in a list; `key` is its id as in addresses, and `people` are some of its users as (key, name)."""

    key: str
    title: str
    preview: str
    people: list[tuple[str, str]]
    all_people: int
    more_people: int
    shared: bool
    tone: str
    status: str
    errors: str
    last: Time
    created: Time
    runs: str
    messages: str
    tool_calls: str
    tokens: str

    @classmethod
    def of(cls, row: Row, now: datetime) -> "ThreadRow":
        users = row["users"]
        tone, status, errors = _last_run(row["last_status"] or "", row["errors"])
        return cls(
            ids.encode(row["session_id"]),
            row["title"],
            without_markdown(row["last_text"] or ""),
            [(ids.encode(user), name_of_user(user)) for user in users],
            row["users_count"],
            max(row["users_count"] - len(users), 0),
            row["shared"],
            tone,
            status,
            errors,
            Time.of(row["last_at"], now),
            Time.of(row["created_at"], now),
            compact(row["runs"]),
            compact(row["messages"]),
            compact(row["tool_calls"]),
            compact(row["tokens"]),
        )


@dataclass(slots=True)
class UserRow:
    """A user in a list; `key` is the id as in addresses."""

    key: str
    name: str
    threads: int
    runs: int
    first: Time
    seen: Time

    @classmethod
    def of(cls, row: Row, now: datetime) -> "UserRow":
        return cls(
            ids.encode(row["user_id"]),
            name_of_user(row["user_id"]),
            row["threads"],
            row["runs"],
            Time.of(row["first_at"], now),
            Time.of(row["seen_at"], now),
        )


def thread_rows(rows: list[Row]) -> list[ThreadRow]:
    now = timezone.now()
    return [ThreadRow.of(row, now) for row in rows]


def user_rows(rows: list[Row]) -> list[UserRow]:
    now = timezone.now()
    return [UserRow.of(row, now) for row in rows]


def _last_run(status: str, errors: int) -> tuple[str, str, str]:
    """Return the colour and word of the last run's badge, and the thread's errors in words.

    The words are empty if there are no errors, or if the badge shows the only one.
    """
    word, tone, _ = STATUSES.get(status, Status(status[:40]))
    if not errors or (errors == 1 and tone == "bad"):
        return tone, word, ""
    return tone, word, counted(errors, "error")
