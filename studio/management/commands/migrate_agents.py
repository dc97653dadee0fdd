from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection
from tqdm import tqdm

from memory.schema import lacking, run
from studio.models import Agent
from studio.serve import migrate


class Command(BaseCommand):
    help = "Bring the tables of the studio and of every agent up to date. Safe to stop, and to run again."

    def handle(self, *args: Any, **options: Any) -> None:
        done = migrate.migrate()
        completed, failed = _complete(skip=set(done.failed))
        schemas = done.schemas + completed
        said = "1 schema" if schemas == 1 else f"{schemas} schemas"
        self.stdout.write(f"{said} brought up to date" if schemas else "Nothing to do")
        if failed := done.failed | failed:
            raise CommandError("\n".join(f"Agent {agent}: {why}" for agent, why in failed.items()))


def _complete(skip: set[str]) -> tuple[int, dict[str, str]]:
    """Make what schemas lack although their migrations are done; return how many it was, and by agent id what failed.

    An index may have been left half built, or somebody has dropped something.
    """
    agents = dict(Agent.objects.exclude(pk__in=skip).values_list("schema_name", "pk"))
    behind = [schema for schema, _ in lacking.missing(sorted(agents))]
    failed = {}
    for schema in tqdm(behind, desc="Completing agents", unit=" agents", disable=None if behind else True):
        try:
            run.complete(schema)
        except Error as error:
            failed[agents[schema]] = migrate.one_line(error)
            connection.close()
    for schema, lacks in lacking.missing([one for one in behind if agents[one] not in failed]):
        failed[agents[schema]] = f"it lacks {', '.join(lacks[:3])}{' and more' if len(lacks) > 3 else ''}"
    return len(behind) - len(failed), failed
