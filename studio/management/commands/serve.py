import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any, NoReturn

import environ
from django.conf import settings
from django.core.management.base import BaseCommand

from memory.services import replay
from memory.services.upkeep import fold_feeds, tidy_up
from studio import postgres, running
from studio.agents import writing
from studio.agents.full_disk import keep_room
from studio.agents.role_upkeep import mend
from studio.agents.watchdog import Watchdog
from studio.audit import refusals, tombstones
from studio.people.sessions import SessionStore
from studio.postgres import StartFailure
from studio.postgres.quotas import trim_log
from studio.serve import first_start, listen, migrate, upkeep, web_server
from studio.serve.priority import lower_agents
from studio.serve.step_down import step_down

WATCH_SECONDS = 2
# agents' writes are in the lists after this time, or when somebody looks
FOLD_SECONDS = 0.5
TIDY_SECONDS = 60
# sessions of agents that were ended are in the audit log after this time
TELL_SECONDS = 0.5
# a role that a killed process has shut out comes in again within twice this time
MEND_SECONDS = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(BaseException):
    """A signal has asked the studio to end."""


class Command(BaseCommand):
    help = "Start the studio: its database, its tables, the web. Ctrl-C stops it."
    # one of them asks the database, which is not started yet
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        for number in SIGNALS:
            # Under nohup it is ignored, and must stay so: the studio goes on when the terminal is closed.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _on_signal)
        try:
            self.serve(settings.DATA_DIR, bundled=not os.environ.get("DATABASE_URL"))
        except Stop:
            self.say("Stopped.")

    def serve(self, data_dir: Path, *, bundled: bool) -> None:
        with ExitStack() as stack:
            stack.enter_context(listen.lock_data_dir(data_dir))
            listener = stack.enter_context(listen.listen(settings.HOST, settings.PORT))
            # the port may be one that only root may listen on
            for sentence in step_down(data_dir):
                self.say(sentence)
            if bundled:
                stack.enter_context(self.postgres(data_dir))
            migrate.check()
            stopping = Event()
            stack.callback(stopping.set)
            watchdog = Watchdog()
            # before the tables are changed, for which agents' locks may be in the way
            watchdog.start(stopping)
            self.prepare(data_dir)
            self.keep_up(stopping, watchdog, bundled=bundled)
            url = listen.base_url(listener)
            server = web_server.start(listener)
            stack.callback(web_server.stop, server)
            # the web server has the socket now
            listener.close()
            web_server.wait_ready(server, url)
            address = settings.PUBLIC_URL if os.environ.get("PUBLIC_URL") else url
            stack.enter_context(running.found_at(address, settings.SECRET_KEY))
            self.greet(address)
            self.watch(server, data_dir if bundled else None)

    def keep_up(self, stopping: Event, watchdog: Watchdog, *, bundled: bool) -> None:
        """Do what must be done again and again, each in a thread of its own, until `stopping` is set."""
        rounds: list[tuple[Callable[[], object], float]] = [
            (watchdog.tell, TELL_SECONDS),
            (fold_feeds, FOLD_SECONDS),
            (mend, MEND_SECONDS),
            (tidy_up, TIDY_SECONDS),
            (refusals.sweep, TIDY_SECONDS),
            (SessionStore.clear_expired, TIDY_SECONDS),
            (replay.replay_if_older, TIDY_SECONDS),
        ]
        if bundled:
            rounds += [(lower_agents, FOLD_SECONDS), (keep_room, WATCH_SECONDS)]
        for work, seconds in rounds:
            upkeep.start(stopping, work, every=seconds)

    @contextmanager
    def postgres(self, data_dir: Path) -> Iterator[None]:
        home = postgres.locate(data_dir)
        if data_dir.resolve() not in home.parents:
            self.say(f"The database is in {home}, because its user may not enter {data_dir}.")
        try:
            wanted = os.environ.get("POSTGRES_BIN", "")
            postgres.start(data_dir, wanted=wanted)
            if said := postgres.describe(data_dir, wanted):
                self.say(said)
            yield
        finally:
            # a second Ctrl-C must not leave the database running
            _ignore_signals()
            postgres.stop(data_dir)

    def prepare(self, data_dir: Path) -> None:
        migrated = migrate.migrate()
        if migrated.schemas:
            self.say("The tables are up to date.")
        for agent, why in migrated.failed.items():
            again = running.command("migrate_agents")
            self.say(f"The tables of agent {agent} are not up to date: {why}. {again} tries again.")
        writing.heal()
        self.replay_deletions()
        if first_start.collect_static(data_dir):
            self.say("Static files are collected.")
        if first_start.add_demo(data_dir, wanted=environ.Env().bool("DEMO", default=True)):
            self.say("Demo agents are there; DEMO=0 at the first start leaves them out.")

    def replay_deletions(self) -> None:
        """Before anybody may read: delete again what a restored backup has brought back."""
        try:
            for sentence in replay.replay().sentences():
                self.say(sentence)
            replay.complete()
        except OSError as error:
            self.say(tombstones.trouble(error))

    def greet(self, address: str) -> None:
        from studio.people.links import is_somebody_in_charge, new_link

        link = running.command("sign_in_link")
        # what is not a terminal is mostly a log, which others read and which is kept
        if self.stdout.isatty() or not is_somebody_in_charge():
            self.say(f"Open {address}{new_link()}")
            self.say(f"The link works once, for one hour; {link} prints another. Ctrl-C stops the studio.")
        else:
            self.say(f"Open {address}")
            self.say(f"{link} prints a link that signs in, once. Ctrl-C stops the studio.")

    def watch(self, server: subprocess.Popen[bytes], data_dir: Path | None) -> NoReturn:
        """Watch the web server until it ends, and restart the bundled database if it dies."""
        while True:
            try:
                server.wait(WATCH_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            else:
                raise StartFailure(f"The web server ended with code {server.returncode}, so the studio stops.")
            if data_dir:
                trim_log(data_dir)
            if data_dir and not postgres.answers(data_dir):
                self.say("The database is gone; starting it again.")
                try:
                    postgres.start(data_dir)
                except StartFailure as failure:
                    self.say(str(failure))

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _on_signal(number: int, frame: FrameType | None) -> NoReturn:
    _ignore_signals()
    raise Stop


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
