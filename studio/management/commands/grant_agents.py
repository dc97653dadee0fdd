from typing import Any

from django.core.management.base import BaseCommand, CommandError

from studio.agents import connection_limits, database_role
from studio.models import Agent, Framework


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Give every agent its database role with exactly the rights of an agent. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        if not database_role.may_create_roles():
            raise CommandError("The studio's database user may not make roles. Grant it CREATEROLE and run this again.")
        done, failed = 0, 0
        for agent in Agent.objects.filter(framework=Framework.AGNO).order_by("id").iterator():
            try:
                database_role.ensure(agent)
                done += 1
            except Exception as error:  # one agent must not keep the others from their role
                failed += 1
                self.stderr.write(f"{agent.pk}: {str(error).splitlines()[0]}")
        self.stdout.write(f"{done} agents have their database role.")
        if crowded := connection_limits.crowded():
            self.stderr.write(crowded)
        if failed:
            raise CommandError(f"{failed} agents could not be given theirs.")
