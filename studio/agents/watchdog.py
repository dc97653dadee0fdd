"""The watchdog: ends sessions of agents that harm others. It watches on a connection that is opened once and kept.

So it works when no connection is free and no lock is to be had. Any number of studios may watch one database.
"""

import logging
import time
from dataclasses import asdict, dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Final

from django.conf import settings
from django.db import Error, connection
from psycopg import errors

from studio.agents import watched
from studio.agents.role_upkeep import confirm
from studio.agents.watched import Role, Session
from studio.audit.record import Actor, record
from studio.models import Agent
from studio.postgres.backend.base import public_cursor

# seconds between two looks, and between two questions which roles are agents'
LOOK: Final = 0.25
ROLES: Final = 1.0
# seconds for which a transaction of an agent may hold up the studio; a person's act ends it sooner, and says so
PATIENCE: Final = 1.0
# What waits for a moment only, again and again, such as counting, is seen waiting in some of the looks: so many.
SEEN: Final = 3
MOMENT: Final = 0.05
# one event for each agent and reason in so many seconds: who repeats it must not fill the audit log
THROTTLE: Final = 60.0

REASONS: Final = {
    "password": "began before the password was changed",
    "locks": "held too many locks",
    "transaction": "held a transaction open for too long",
    "blocks": "held up the studio or another agent",
}

log = logging.getLogger("studio")


@dataclass(slots=True)
class Ended:
    """Sessions of one agent that were ended for one reason, and what the worst of them held."""

    sessions: int = 0
    locks: int = 0
    seconds: int = 0

    def add(self, other: "Ended") -> None:
        self.sessions += other.sessions
        self.locks = max(self.locks, other.locks)
        self.seconds = max(self.seconds, other.seconds)


@dataclass(slots=True)
class Watchdog:
    """Watches in one thread, and tells the audit log in another, where it may have to wait."""

    roles: dict[int, Role] = field(default_factory=dict)
    untold: dict[tuple[str, str], Ended] = field(default_factory=dict)
    _told: dict[tuple[str, str], float] = field(default_factory=dict)
    # agents into whom somebody came with an old password
    _doubted: set[str] = field(default_factory=set)
    # when the studio was seen to wait for a transaction
    _waits: dict[tuple[int, float], list[float]] = field(default_factory=dict)
    _room: int = 0
    _asked: float = 0
    _lock: Any = field(default_factory=Lock)

    def start(self, stopping: Event) -> None:
        """Watch until `stopping` is set."""
        Thread(target=self._rounds, args=[stopping], name="watchdog", daemon=True).start()

    def look(self) -> None:
        """Look once, and end what harms."""
        if not self.roles or time.monotonic() > self._asked + ROLES:
            self._ask()
        if not self.roles:
            return
        with public_cursor() as cursor:
            found = watched.sessions(cursor, list(self.roles), MOMENT)
            if harmful := self._harmful(found):
                ended = watched.end(cursor, list(self.roles), list(harmful))
                self._note({pid: harmful[pid] for pid in ended}, found)

    def tell(self) -> None:
        """Write what was ended into the audit log, and put back passwords that somebody may have changed."""
        for agent_id in list(self._doubted):
            self._doubted.discard(agent_id)
            if agent := Agent.objects.filter(pk=agent_id).first():
                confirm(agent)
        for key in list(self.untold):
            if time.monotonic() > self._told.get(key, -THROTTLE) + THROTTLE:
                self._told[key] = time.monotonic()
                self._tell_one(key)

    def _tell_one(self, key: tuple[str, str]) -> None:
        with self._lock:
            ended = self.untold.pop(key)
        agent_id, reason = key
        log.warning("agent %s: %s of its sessions were ended: %s", agent_id, ended.sessions, REASONS[reason])
        try:
            agent = Agent.objects.filter(pk=agent_id).first()
            data = {"counts": asdict(ended)}
            record(Actor.system(), "database.end_sessions", agent=agent, object=REASONS[reason], data=data)
        except Error:
            # counted with those to come, and told as soon as it can be
            self._add(key, ended)
            del self._told[key]
            raise

    def _add(self, key: tuple[str, str], ended: Ended) -> None:
        with self._lock:
            self.untold.setdefault(key, Ended()).add(ended)

    def _ask(self) -> None:
        self._asked = time.monotonic()
        try:
            with public_cursor() as cursor:
                self._room = watched.room(cursor)
                self.roles = watched.roles(cursor)
        except Error as error:
            if isinstance(error.__cause__, errors.OutOfMemory):
                with public_cursor() as cursor:
                    self.roles |= watched.stored_roles(cursor)
                return
            # Those that are known are watched all the same, where no lock is to be had to ask anew. A new database
            # knows of none, until it has its tables; while they are changed, nobody can be asked.
            if not self.roles and not isinstance(error.__cause__, errors.UndefinedTable | errors.LockNotAvailable):
                raise

    def _harmful(self, sessions: list[Session]) -> dict[int, str]:
        """Return the reason to end each session that harms, by process id."""
        greedy = self._greedy(sessions)
        self._count_waits(sessions)
        return {one.pid: reason for one in sessions if (reason := self._reason(one, one.role in greedy))}

    def _greedy(self, sessions: list[Session]) -> set[int]:
        """Return the roles that hold too many locks, and those with the most while all hold half of what there is."""
        locks: dict[int, int] = {}
        for session in sessions:
            locks[session.role] = locks.get(session.role, 0) + session.locks
        greedy, total = set(), sum(locks.values())
        for role in sorted(locks, key=lambda role: -locks[role]):
            if locks[role] <= settings.AGENT_LOCK_LIMIT and total <= self._room // 2:
                break
            greedy.add(role)
            total -= locks[role]
        return greedy

    def _reason(self, session: Session, is_greedy: bool) -> str:
        admitted = self.roles[session.role].admitted_at
        if admitted and 0 < session.began < admitted:
            return "password"
        # of its sessions those that hold no more than their share are spared
        if is_greedy and session.locks > settings.AGENT_LOCK_LIMIT // max(settings.AGENT_CONNECTION_LIMIT, 1):
            return "locks"
        if session.age > settings.AGENT_TRANSACTION_SECONDS:
            return "transaction"
        seen = self._waits.get((session.pid, session.transaction), [])
        is_again = len(seen) >= SEEN and seen[-1] - seen[0] >= PATIENCE
        return "blocks" if session.waits >= PATIENCE or is_again else ""

    def _count_waits(self, sessions: list[Session]) -> None:
        now, before, self._waits = time.monotonic(), self._waits, {}
        for one in sessions:
            key = (one.pid, one.transaction)
            if seen := before.get(key, []) + [now] * (one.waits > 0):
                self._waits[key] = seen[-SEEN:]

    def _note(self, ended: dict[int, str], sessions: list[Session]) -> None:
        for session in sessions:
            if reason := ended.get(session.pid):
                agent_id = self.roles[session.role].agent_id
                self._add((agent_id, reason), Ended(1, session.locks, round(session.age)))
                if reason == "password":
                    self._doubted.add(agent_id)

    def _rounds(self, stopping: Event) -> None:
        failed = ""
        while not stopping.wait(LOOK):
            try:
                self.look()
                failed = ""
            except Exception as error:  # whatever it was, the next look may succeed
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
                if said != failed:
                    log.warning("agents' sessions are not watched: %s", said)
                failed = said
                # only one that broke, as perhaps there is no other to be had
                if connection.connection is None or connection.connection.closed:
                    connection.close()
        connection.close()
