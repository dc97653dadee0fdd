from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studio import running
from studio.audit.record import Actor
from studio.models import User
from studio.people import second_factor


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Remove a person's second factors and recovery codes, and end their sessions; for whoever lost them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="whose factors")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            raise CommandError(f"Nobody has the email {email}.")
        if not second_factor.remove(Actor.system(), user):
            self.stdout.write(f"{user.email} has no second factor, so nothing was changed.")
            return
        link = running.command(f"sign_in_link --email {user.email}")
        self.stdout.write(f"{user.email} has no second factor any more and is signed out. A link to sign in: {link}")
