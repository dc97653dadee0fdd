"""The filter form of the audit log as an address has it, and what in it is not understood."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.http import QueryDict

from studio.audit.search import Filters
from studio.formats import shorten
from studio.ids import is_agent_id
from studio.web import day, whole_number

FILTERS: Final = ("kind", "who", "agent", "since", "until")
PLACES: Final = ("cursor", "event")
_WHO: Final = re.compile(r"[a-z]{1,16}:[\w.@-]{0,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What an address asks of the log.

    `given` are its filters as they were typed, `filters` what they mean, and `wrong` says in sentences what is not
    understood. A log with something wrong has no rows: all of them would look like an answer.
    """

    given: dict[str, str]
    filters: Filters
    event: int | None
    wrong: list[str]

    @classmethod
    def read(cls, data: QueryDict, kinds: list[str], names: tuple[str, ...], agent_id: str = "") -> "AuditQuery":
        """Read an address that may have these names; with `agent_id` the log is that agent's."""
        given = {name: text for name in data if (text := data.get(name, "").replace("\x00", "\ufffd").strip())}
        filters = Filters(
            kind=given.get("kind", ""),
            who=given.get("who", ""),
            agent=agent_id or given.get("agent", ""),
            since=day(given.get("since", "")),
            until=day(given.get("until", "")),
        )
        return cls(
            {name: text for name, text in given.items() if name in FILTERS},
            filters,
            whole_number(given.get("event", "")),
            list(_wrong(given, filters, kinds, names)),
        )


def nobody(who: str) -> str:
    return f"Nobody is known as “{shorten(who, 60)}”."


def no_agent(agent_id: str) -> str:
    return f"No agent has, or had, the id “{shorten(agent_id, 60)}”."


def _wrong(given: dict[str, str], filters: Filters, kinds: list[str], names: tuple[str, ...]) -> Iterator[str]:
    for name in given:
        if name not in names:
            yield f"There is no filter “{shorten(name, 60)}” here."
    if filters.kind and filters.kind not in kinds:
        yield f"There is no kind “{shorten(filters.kind, 60)}” here."
    if filters.who and not _WHO.fullmatch(filters.who):
        yield nobody(filters.who)
    if filters.agent and not is_agent_id(filters.agent):
        yield no_agent(filters.agent)
    for name, label, read in (("since", "From", filters.since), ("until", "Until", filters.until)):
        if name in given and read is None:
            yield f"{label} is “{shorten(given[name], 60)}”, which is no day; a day is written like 2026-11-23."
    if filters.since and filters.until and filters.since > filters.until:
        yield f"From ({filters.since}) is after Until ({filters.until}), and no day is between them."
    if "event" in given and whole_number(given["event"]) is None:
        yield f"“{shorten(given['event'], 60)}” is not the number of an event."
