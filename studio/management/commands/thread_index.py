from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_tenants.utils import schema_context
from tqdm import tqdm

from memory.index import feed, repair
from memory.query import UNLIMITED, long_statements
from studio import running
from studio.models import Agent

# a thread that an agent has locked fails, and is tried again in the next round
ROUNDS = 3


class Command(BaseCommand):
    help = (
        "Compare the thread index with the threads (check), count what waits (mend), or count all threads "
        "again (rebuild). Safe while agents write; a rebuild that was stopped goes on with mend."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("check", "mend", "rebuild"))
        parser.add_argument("--agent", default="", help="one agent's id; without it, every agent")
        parser.add_argument("--batch", type=int, default=repair.BATCH, help="threads per transaction, at most")

    def handle(self, *args: Any, what: str, agent: str, batch: int, **options: Any) -> None:
        agents = Agent.objects.filter(pk=agent) if agent else Agent.objects.all()
        if agent and not agents:
            raise CommandError(f"There is no agent {agent}. {_command(what)} goes over all of them.")
        bad = 0
        try:
            for one in agents:
                with schema_context(one.schema_name), long_statements(UNLIMITED):
                    bad += getattr(self, f"_{what}")(one, batch)
        except feed.Behind:
            raise CommandError(f"Another process counts the threads of {one.pk}. Try again in a moment.") from None
        except KeyboardInterrupt:
            raise CommandError(f"Stopped. The upkeep goes on, or {_command('mend')}.", returncode=130) from None
        if bad:
            way_out = f" Run {_command('mend')}, or rebuild for all threads." if what == "check" else ""
            raise CommandError(f"{bad} rows differ or failed.{way_out}")

    def _mend(self, agent: Agent, batch: int) -> int:
        mended = failed = 0
        self._fold(agent)
        repair.mark_missed()
        repair.mark_dropped()
        with tqdm(total=repair.backlog(), desc=f"{agent.pk} mend", unit=" threads", disable=None) as bar:
            for _ in range(ROUNDS):
                failed = 0
                for done in repair.mend(batch):
                    mended, failed = mended + done.mended, failed + done.failed
                    bar.update(done.mended)
                if not failed:
                    break
        self.stdout.write(f"{agent.pk}: {mended} threads counted again" + (f", {failed} failed" if failed else ""))
        return failed

    def _fold(self, agent: Agent) -> None:
        with tqdm(total=feed.waiting(), desc=f"{agent.pk} feed", unit=" writes", disable=None) as bar:
            for done in feed.fold():
                bar.update(done)

    def _rebuild(self, agent: Agent, batch: int) -> int:
        repair.mark_all()
        # first, so that mend does all that is left; a thread changes its users by the difference
        for keys in self._pages(repair.user_keys, batch, f"{agent.pk} users"):
            repair.recount_users(keys)
        return self._mend(agent, batch)

    def _check(self, agent: Agent, batch: int) -> int:
        self._fold(agent)
        threads = (repair.differences(ids) for ids in self._pages(repair.thread_ids, batch, f"{agent.pk} threads"))
        users = (repair.user_differences(keys) for keys in self._pages(repair.user_keys, batch, f"{agent.pk} users"))
        bad = self._report(threads) + self._report(users)
        failed = repair.failures()
        for session_id, error in failed:
            self.stdout.write(f"{session_id!r} could not be counted: {error}")
        bad += len(failed)
        self.stdout.write(f"{agent.pk}: " + (f"{bad} rows differ or failed" if bad else "the index is exact"))
        return bad

    def _report(self, batches: Iterable[list[repair.Difference]]) -> int:
        bad = 0
        for found in batches:
            for difference in found:
                self.stdout.write(f"{difference.table} {difference.id!r}: {_changes(difference)}")
            bad += len(found)
        return bad

    def _pages(self, read: Any, size: int, label: str) -> Iterator[list[Any]]:
        last = None
        with tqdm(desc=label, unit=" rows", disable=None) as bar:
            while rows := read(last, size):
                yield rows
                last = rows[-1]
                bar.update(len(rows))


def _changes(difference: repair.Difference) -> str:
    kept, counted = difference.kept, difference.counted
    if kept is None or counted is None:
        return "missing" if kept is None else "left over"
    return ", ".join(f"{key} {kept[key]!r}, counted {counted[key]!r}" for key in kept if kept[key] != counted[key])


def _command(what: str) -> str:
    return running.command(f"thread_index {what}")
