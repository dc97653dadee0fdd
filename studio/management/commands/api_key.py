from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio.audit.record import Actor
from studio.keys import service as keys
from studio.models import Agent


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Make an API key. It is printed once, alone on the last line, and cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        create = parser.add_subparsers(dest="action", required=True).add_parser("create", help="make a key")
        create.add_argument("--name", required=True, help="what the audit log calls it")
        create.add_argument(
            "--scope", required=True, action="append", choices=keys.KEY_SCOPES, help="may be given several times"
        )
        create.add_argument(
            "--agent", action="append", help="id of an agent; may be given several times; without it, all agents"
        )
        create.add_argument("--days", type=int, help="valid for so many days; without it, until revoked")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["agent"]
        agents = None if wanted is None else list(Agent.objects.filter(pk__in=wanted))
        if agents is not None and (missing := set(wanted) - {agent.pk for agent in agents}):
            raise CommandError(f"There is no agent {', '.join(sorted(missing))}.")
        try:
            key, text = keys.create(
                Actor.system(), name=options["name"], scopes=options["scope"], agents=agents, days=options["days"]
            )
        except keys.Invalid as error:
            raise CommandError(str(error)) from error
        until = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "until revoked"
        self.stdout.write(f"Key {key.name}: {', '.join(key.scopes)}, {until}. Keep it now, it is not shown again.")
        self.stdout.write(text)
