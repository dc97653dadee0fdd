"""Words and colours that several pages use: a run's status, and the name of a user."""

from typing import Final, NamedTuple

from studio import ids
from studio.formats import shorten


class Status(NamedTuple):
    """A run's status on a page: its word, the tone of its badge, and the class of its card; "" for no class."""

    word: str
    tone: str = ""
    state: str = ""


STATUSES: Final = {
    "COMPLETED": Status("Completed", "ok"),
    "ERROR": Status("Error", "bad", "failed"),
    "PAUSED": Status("Paused", "warn", "paused"),
    "CANCELLED": Status("Cancelled", "warn", "cancelled"),
    "RUNNING": Status("Running", state="running"),
    "PENDING": Status("Pending", state="running"),
    "REGENERATED": Status("Regenerated", state="cancelled"),
}


def name_of_user(user_id: str) -> str:
    """Return a user's id as visible text of at most 120 characters; ids may be empty, or only spaces."""
    if ids.is_key(user_id):
        return f"id of more than 4 KB ({user_id[2:10]})"
    # cut first, because an id may have millions of characters
    shown = shorten(" ".join(user_id[:1000].split()), 120)
    return shown or ("(blank id)" if user_id else "(empty id)")
