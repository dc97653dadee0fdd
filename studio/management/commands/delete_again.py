from typing import Any

from django.core.management.base import BaseCommand, CommandError

from memory.services import replay
from studio.audit import tombstones


class Command(BaseCommand):
    help = "After a backup was restored: delete again what had been deleted. Every start does it, too. Safe to repeat."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = replay.replay()
            noted = replay.complete()
        except OSError as error:
            raise CommandError(tombstones.trouble(error)) from None
        for sentence in done.sentences() or ["Nothing has come back: the database knows all deletions."]:
            self.stdout.write(sentence)
        if noted:
            self.stdout.write(f"{noted:,} deletions that agents did themselves are noted now.")
        if done.failed:
            raise CommandError(f"{len(done.failed)} agents could not be done.")
