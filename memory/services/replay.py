"""Deleting again what a restored backup brought back, by the file beside the head of the audit log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import Error, connection, transaction
from django_tenants.utils import schema_context

from memory.index import graves
from memory.query import UNLIMITED, long_statements
from memory.services import deletion
from studio import running
from studio.agents import provision
from studio.audit import tombstones
from studio.audit.record import Actor, record
from studio.audit.tombstone_lines import Line
from studio.audit.tombstones import Grave
from studio.models import Agent, AuditEvent

log = logging.getLogger("studio")

WHY: Final = "This was deleted before, and a restored backup brought it back."


@dataclass
class Replayed:
    """How many deletions the database did not know, what they deleted again, and in which agents that failed."""

    deletions: int = 0
    threads: int = 0
    agents: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """Say what was done."""
        if not self.deletions:
            return []
        again = running.command("delete_again")
        return [
            f"The database is older than {tombstones.path()}: it did not know {self.deletions:,} deletions, as a backup"
            f" that was restored does not. They were done again: {self.threads:,} threads"
            + (f", and the agents {', '.join(self.agents)}." if self.agents else "."),
            *(
                f"What {schema} had deleted is not gone: {why}. {again} tries again."
                for schema, why in self.failed.items()
            ),
        ]


def replay() -> Replayed:
    """Do those deletions again that this database does not know, and audit it. It is safe to repeat."""
    missing = tombstones.lost()
    done = Replayed(len(missing))
    number = 0
    for line in tombstones.lines() if missing else ():
        number = line.number
        if line.number in missing:
            _again(line, done)
    # what was done again above is known by now
    for agent, some in _forgotten():
        done.deletions += len(some)
        with _kept(agent, done):
            done.threads += _threads_again(agent, some)
    if not done.deletions:
        return done
    with transaction.atomic():
        event = record(
            Actor.system(),
            "database.restored",
            object=str(tombstones.path()),
            data={"counts": {"deletions": done.deletions, "threads": done.threads, "agents": len(done.agents)}},
            reason=WHY,
        )
    if missing and not done.failed:
        # so that the next start does not ask for them again
        tombstones.append({"event": event.pk, "event_hash": bytes(event.hash).hex(), "replayed": number})
    return done


def replay_if_older() -> None:
    """Look whether somebody has restored a backup into the running studio's database."""
    if tombstones.is_older():
        for sentence in replay().sentences():
            log.warning("%s", sentence)


def complete() -> int:
    """Note what the file lacks: deletions of agents themselves, and those that a crash kept out of it."""
    tombstones.mend()
    event = AuditEvent.objects.order_by("-id").first()
    if event is None:
        return 0
    noted = {(line.values["schema"], grave[0]) for line in tombstones.lines() for grave in _graves_of(line)}
    count = 0
    for schema in Agent.objects.values_list("schema_name", flat=True):
        missing = [grave for grave in _graves_in(schema) or () if (schema, grave[0]) not in noted]
        for start in range(0, len(missing), deletion.MOST):
            some = missing[start : start + deletion.MOST]
            hash = bytes(event.hash).hex()
            tombstones.append({"event": event.pk, "event_hash": hash, "schema": schema, "threads": some})
        count += len(missing)
    return count


def _again(line: Line, done: Replayed) -> None:
    agent = Agent.objects.filter(schema_name=line.values.get("schema", "")).first()
    if agent is None:
        return
    with _kept(agent, done):
        if "agent" not in line.values:
            done.threads += _threads_again(agent, _graves_of(line))
        # not another one that has got its id since
        elif agent.created_at == datetime.fromisoformat(line.values["created_at"]):
            done.agents.append(agent.pk)
            provision.remove_agent(Actor.system(), agent, reason=WHY)


def _forgotten() -> Iterator[tuple[Agent, list[Grave]]]:
    """Yield what agents' schemas do not know of their own deletions, as of a backup that was restored in part."""
    noted: dict[str, dict[str, Grave]] = {}
    for line in tombstones.lines():
        noted.setdefault(line.values.get("schema", ""), {}).update({grave[0]: grave for grave in _graves_of(line)})
    for agent in Agent.objects.filter(schema_name__in=noted):
        if (stored := _graves_in(agent.schema_name)) is None:
            continue
        known = {grave[0] for grave in stored}
        # not those of another agent that had its id before
        since = int(agent.created_at.timestamp())
        some = [grave for hash, grave in noted[agent.schema_name].items() if hash not in known and grave[1] >= since]
        if some:
            yield agent, some


def _graves_in(schema: str) -> list[Grave] | None:
    """Return what a schema knows of its deletions; None, and a line in the log, where it cannot be asked."""
    try:
        with schema_context(schema), long_statements(UNLIMITED):
            return graves.every()
    except Error as error:
        log.warning("deletions of %s were not compared: %s", schema, str(error).splitlines()[0])
        return None


def _graves_of(line: Line) -> list[Grave]:
    return list(line.values.get("threads", ()))


@contextmanager
def _kept(agent: Agent, done: Replayed) -> Iterator[None]:
    """Keep why an agent failed, for the others are to be done."""
    try:
        yield
    except (Error, deletion.Busy) as error:
        connection.close()
        done.failed[agent.schema_name] = str(error).splitlines()[0] if str(error) else type(error).__name__


def _threads_again(agent: Agent, some: list[Grave]) -> int:
    with schema_context(agent.schema_name), long_statements(UNLIMITED):
        graves.put(some)
        ids = graves.risen(some)
    count = 0
    for start in range(0, len(ids), deletion.MOST):
        part = ids[start : start + deletion.MOST]
        count += deletion.delete_threads(Actor.system(), agent, part, WHY).threads
    return count
