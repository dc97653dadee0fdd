from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio.models import User
from studio.people.links import new_link


class Command(BaseCommand):
    help = "Print a one-time sign-in link, valid for one hour."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", default="", help="whose link; without it, the first admin's")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            path = new_link(options["email"])
        except User.DoesNotExist as error:
            raise CommandError(f"Nobody active has the email {options['email']}.") from error
        self.stdout.write(settings.PUBLIC_URL + path)
