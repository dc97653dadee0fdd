from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from memory.demo import load
from studio.agents import connection_limits
from studio.agents.provision import Refused


class Command(BaseCommand):
    help = "Add four demo agents with some 300 threads. Those that are there already stay as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reset", action="store_true", help="remove the four demo agents and make them again")

    def handle(self, *args: Any, reset: bool, **options: Any) -> None:
        removed = load.remove() if reset else []
        for name in removed:
            self._say(options, f"Removed {name}.")
        missing = load.missing()
        for one in missing:
            try:
                threads = load.add(one)
            except Refused as error:
                raise CommandError(f"{one['fields']['name']} was not added. {error}") from error
            self._say(options, f"Added {one['fields']['name']} ({one['id']}) with {threads} threads.")
        if missing and (crowded := connection_limits.advice()):
            self.stderr.write(crowded)
        if not missing:
            self._say(options, "The demo agents are there already; nothing was changed. --reset makes them again.")

    def _say(self, options: dict[str, Any], text: str) -> None:
        if options["verbosity"] > 0:
            self.stdout.write(text)
