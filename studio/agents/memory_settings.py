"""Memory settings of an agent: saved as versions, restored, and merged when two people save at once."""

import json
from dataclasses import dataclass
from typing import Any, Final

from django.core.validators import BaseValidator, MaxValueValidator, MinValueValidator
from django.db import transaction
from django.db.models import BooleanField, Field
from django.utils.functional import cached_property

from studio.agents import writing
from studio.audit.record import Actor, record
from studio.models import Agent, MemorySettings, MemorySettingsVersion

_NO_SETTINGS: Final = ("agent", "version", "updated_at")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as the model declares it: a switch, or a whole number from `least` to `most`."""

    name: str
    label: str
    is_switch: bool
    least: int = 0
    most: int = 0
    about: str = ""

    @classmethod
    def of(cls, field: "Field[Any, Any]") -> "Setting":
        limits = {type(one): one.limit_value for one in field.validators if isinstance(one, BaseValidator)}
        return cls(
            field.name,
            str(field.verbose_name),
            isinstance(field, BooleanField),
            limits.get(MinValueValidator, 0),
            limits.get(MaxValueValidator, 0),
            str(field.help_text),
        )


SETTINGS: Final = tuple(
    Setting.of(field) for field in MemorySettings._meta.concrete_fields if field.name not in _NO_SETTINGS
)
FIELDS: Final = tuple(setting.name for setting in SETTINGS)


class Conflict(Exception):
    """Somebody else has saved since the version that the change started from; `current` is what is saved now."""

    def __init__(self, current: MemorySettings) -> None:
        super().__init__(f"saved meanwhile as version {current.version}")
        self.current = current

    @cached_property
    def latest(self) -> MemorySettingsVersion | None:
        """The current version, which says who saved it and when; None for an agent without versions."""
        return _version(self.current.agent_id, self.current.version)

    def base(self, version: int) -> dict[str, Any]:
        """Return the values that the change started from, empty if no such version was saved."""
        row = _version(self.current.agent_id, version) if version < self.current.version else None
        return dict(row.values) if row else {}


def values_of(settings: MemorySettings) -> dict[str, Any]:
    return {field: getattr(settings, field) for field in FIELDS}


def words(value: Any, name: str = "") -> str:
    """Write a setting's value in words: on, off, no cap, or the number."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "no cap" if name == "max_tool_calls_from_history" and value == 0 else str(value)


def described(value: Any, name: str = "") -> str:
    """Write any value of a change in words; a missing one is "empty"."""
    if value is None or value == "":
        return "empty"
    return words(value, name) if isinstance(value, int | str) else json.dumps(value, ensure_ascii=False)


def literal(value: Any, name: str = "") -> str:
    """Write a value as an agent gets it: true, false, 10; a cap of 0 is "no cap"."""
    return json.dumps(value) if isinstance(value, bool) else described(value, name)


def defaults() -> dict[str, Any]:
    """Return the values that a new agent starts with."""
    return values_of(MemorySettings())


def create(actor: Actor, agent: Agent) -> MemorySettings:
    """Give a new agent its default settings, as version 1."""
    settings = MemorySettings.objects.create(agent=agent)
    _keep_version(actor, settings, {})
    return settings


def save(
    actor: Actor, agent: Agent, values: dict[str, Any], version: int, *, restored_from: int | None = None
) -> MemorySettings:
    """Save values on top of `version` and return the settings; `restored_from` is the version that they are of.

    Any subset of FIELDS may be given; the others stay. Without a change nothing is written. Raises
    Conflict if `version` is no longer the current one, and ValidationError for values out of range.
    """
    with transaction.atomic():
        # locked, so that of two saves on the same version the second sees the first
        settings = MemorySettings.objects.select_for_update().get(agent=agent)
        if settings.version != version:
            raise Conflict(settings)
        before = values_of(settings)
        changes = {
            name: [before[name], values[name]] for name in FIELDS if name in values and values[name] != before[name]
        }
        if not changes:
            return settings
        for name, (_, after) in changes.items():
            setattr(settings, name, after)
        settings.version += 1
        settings.full_clean(exclude=["agent"])
        settings.save()
        _keep_version(actor, settings, changes, restored_from)
        if "session_storage" in changes:
            writing.settle(agent)
        record(
            actor,
            "settings.restore" if restored_from else "settings.save",
            agent=agent,
            object=f"v{settings.version}",
            data={"changes": changes, "version": settings.version}
            | ({"how": f"from v{restored_from}"} if restored_from else {}),
        )
    return settings


def restore(actor: Actor, agent: Agent, old: int, version: int) -> MemorySettings:
    """Save the values of version `old` as a new version; raise MemorySettingsVersion.DoesNotExist if it is missing."""
    return save(actor, agent, values_at(agent, old), version, restored_from=old)


def values_at(agent: Agent, version: int) -> dict[str, Any]:
    """Return the values that were saved as `version`; raise MemorySettingsVersion.DoesNotExist if it is missing."""
    return dict(MemorySettingsVersion.objects.get(agent=agent, version=version).values)


def changes_to(version: MemorySettingsVersion, saved: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """List what restoring a version would change, as (name, saved value, value of the version)."""
    pairs = [(name, saved[name], version.values.get(name, saved[name])) for name in FIELDS]
    return [(name, now, then) for name, now, then in pairs if now != then]


def versions(agent: Agent, *, below: int | None = None, limit: int = 10) -> list[MemorySettingsVersion]:
    """Return at most `limit` saved versions, newest first, older than `below` if that is given."""
    rows = MemorySettingsVersion.objects.filter(agent=agent)
    return list((rows if below is None else rows.filter(version__lt=below)).order_by("-version")[:limit])


def merge(base: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any]) -> dict[str, Any]:
    """Return what somebody else saved (`theirs`), with the values in `mine` that differ from `base`."""
    # where both changed a setting mine wins, because the form shows the result before anything is saved
    return {**theirs, **{name: value for name, value in mine.items() if name not in base or base[name] != value}}


def _version(agent_id: str, version: int) -> MemorySettingsVersion | None:
    return MemorySettingsVersion.objects.filter(agent_id=agent_id, version=version).first()


def _keep_version(
    actor: Actor, settings: MemorySettings, changes: dict[str, Any], restored_from: int | None = None
) -> None:
    MemorySettingsVersion.objects.create(
        agent_id=settings.agent_id,
        version=settings.version,
        values=values_of(settings),
        changes=changes,
        restored_from=restored_from,
        actor=actor.name[:200],
    )
