"""A conflict of settings: two people changed the same version. `mine` are the values of the second to save."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studio.agents.memory_settings import SETTINGS, Conflict, merge, values_of, words


@dataclass(frozen=True, slots=True)
class Row:
    """A setting in words: as it was, as they saved it, as I want it, and merged.

    `both` is true if both changed it, to different values.
    """

    label: str
    was: str
    theirs: str
    mine: str
    merged: str
    both: bool

    @property
    def by_them(self) -> bool:
        return self.theirs != self.was

    @property
    def by_me(self) -> bool:
        return self.mine != self.was


@dataclass(frozen=True, slots=True)
class SettingsConflict:
    """Who saved meanwhile, and the settings that differ; `merged` has my changes on top of theirs.

    `base` is the version I started from, 0 if it is unknown: then all values in my form count as my changes.
    `restored` is the version I wanted to restore, 0 for a plain save.
    """

    who: str
    at: datetime
    version: int
    base: int
    restored: int
    rows: list[Row]
    merged: dict[str, Any]

    @classmethod
    def of(cls, conflict: Conflict, base: int, mine: dict[str, Any], restored: int = 0) -> "SettingsConflict":
        was = conflict.base(base)
        theirs = values_of(conflict.current)
        latest = conflict.latest
        # to restore a version means to want all of its values, not only some changes
        merged = merge({} if restored else was, theirs, mine)
        return cls(
            who=latest.actor if latest else "Somebody",
            at=latest.created_at if latest else conflict.current.updated_at,
            version=conflict.current.version,
            base=base if was else 0,
            restored=restored,
            rows=_rows(was, theirs, mine, merged),
            merged=merged,
        )

    @property
    def overlap(self) -> bool:
        """Whether both changed the same setting to different values."""
        return any(row.both for row in self.rows)


def _rows(was: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any], merged: dict[str, Any]) -> list[Row]:
    rows = []
    for setting in SETTINGS:
        name = setting.name
        before = was.get(name, theirs[name])
        wanted = mine.get(name, before)
        if theirs[name] == wanted == before:
            continue
        both = wanted != theirs[name] and (not was or before not in (theirs[name], wanted))
        rows.append(
            Row(
                setting.label,
                words(before, name),
                words(theirs[name], name),
                words(wanted, name),
                words(merged[name], name),
                both,
            )
        )
    return rows
