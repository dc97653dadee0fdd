from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio import running
from studio.audit import head, verify


class Command(BaseCommand):
    help = "Verify the audit log: edits, removals, insertions, another order, and a cut end."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["verify"])

    def handle(self, *args: Any, **options: Any) -> None:
        report = verify.verify()
        for fault in report.faults:
            self.stderr.write(fault)
        if report.faults:
            hint = (
                f"If you restored a backup on purpose: run {running.command('delete_again')}, which a start does too, "
                f"so that nothing deleted comes back; then remove {head.path()}. Else somebody changed the database."
            )
            raise CommandError(f"The audit log is not as it was written. {hint}")
        self.stdout.write(f"The audit log is whole: {report.events:,} events, the last one is {report.last}.")
