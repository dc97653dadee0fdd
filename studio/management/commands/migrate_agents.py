from typing import Any

from django.core.management.base import BaseCommand, CommandError

from studio.serve import migrate


class Command(BaseCommand):
    help = "Bring the tables of the studio and of every agent up to date. Safe to stop, and to run again."

    def handle(self, *args: Any, **options: Any) -> None:
        done = migrate.migrate()
        schemas = "1 schema" if done.schemas == 1 else f"{done.schemas} schemas"
        self.stdout.write(f"{schemas} brought up to date" if done.schemas else "Nothing to do")
        if done.failed:
            raise CommandError("\n".join(f"Agent {agent}: {why}" for agent, why in done.failed.items()))
