import json
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from memory.history.cases import Difference, check, read_cases

_SHOWN: Final = 5
_LONGEST: Final = 400


class Command(BaseCommand):
    help = "Compare what the studio says the model is sent with recorded turns of Agno. It needs no database."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "files", nargs="+", metavar="FILE.jsonl.gz", type=Path, help="a thread and its turns a line"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        asks, differences = 0, list[Difference]()
        for file in options["files"]:
            try:
                for case in read_cases(file):
                    asks += len(case["asks"])
                    differences += check(case)
            except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
                raise CommandError(
                    f"{file} cannot be read as recorded turns: {error or type(error).__name__}"
                ) from error
        for one in differences[:_SHOWN]:
            self._show(one)
        if len(differences) > _SHOWN:
            self.stdout.write(f"… and {len(differences) - _SHOWN} more")
        self.stdout.write(f"agree {asks - len(differences)} of {asks}")
        if differences:
            raise SystemExit(1)

    def _show(self, one: Difference) -> None:
        asked = ", ".join(f"{name} {json.dumps(value)}" for name, value in one.question.items() if value is not None)
        self.stdout.write(f"{one.case}, ask {one.ask}: {asked}")
        for word, value in (("expected", one.expected), ("got", one.got)):
            text = json.dumps(value, ensure_ascii=False)
            self.stdout.write(f"  {one.key} {word} {text[:_LONGEST]}{'…' if len(text) > _LONGEST else ''}")
