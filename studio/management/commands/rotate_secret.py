from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from studio import reencrypt, running, secret_key
from studio.audit.record import Actor
from studio.postgres.kept_files import locked


class Command(BaseCommand):
    requires_system_checks = ()
    help = (
        "Encrypt all secrets again: with a new key, which is made in DATA_DIR, or with SECRET_KEY if that is set, where"
        " SECRET_KEY_FALLBACKS is the old one. Safe beside a running studio, and to repeat after it was stopped."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with locked(settings.DATA_DIR / "rotate.lock", wait=False) as held:
            if not held:
                raise CommandError("Another rotate_secret runs. Wait until it is done.")
            lost = self._with_given_key() if secret_key.is_given() else self._with_kept_key()
        for name in lost:
            self.stderr.write(f"Cannot read {name}: it is under a key that is in no SECRET_KEY_FALLBACKS.")
        if lost:
            raise CommandError(
                f"{len(lost)} secrets cannot be read and were left as they are. Add the key of before to"
                " SECRET_KEY_FALLBACKS and run this again. If it is lost: grant_agents makes new database passwords,"
                " and remove_factors EMAIL lets a person in without the factors."
            )

    def _with_given_key(self) -> list[str]:
        outcome = self._say(reencrypt.all_secrets(Actor.system()))
        if settings.SECRET_KEY_FALLBACKS and not outcome.lost:
            self.stdout.write("Now start the studio without SECRET_KEY_FALLBACKS. Then everybody signs in again.")
        elif not settings.SECRET_KEY_FALLBACKS:
            again = running.command("rotate_secret")
            self.stdout.write(
                "The key comes from SECRET_KEY. For another one start the studio with a new SECRET_KEY and the old one"
                f" in SECRET_KEY_FALLBACKS, and run: {again}"
            )
        return outcome.lost

    def _with_kept_key(self) -> list[str]:
        where = settings.DATA_DIR
        outcome = self._say(reencrypt.all_secrets(Actor.system(), lambda: secret_key.renew(where)))
        if running.has_another_key(secret_key.current(where)):
            again = running.command("rotate_secret")
            self.stdout.write(
                "The studio that runs goes on with both keys. Restart it when it suits you, and then, to forget the old"
                f" one, run: {again}"
            )
            return outcome.lost
        secret_key.forget(where)
        self.stdout.write("The old key is forgotten. Everybody signs in again.")
        return outcome.lost

    def _say(self, outcome: reencrypt.Outcome) -> reencrypt.Outcome:
        self.stdout.write(f"{outcome.kept} secrets are under the current key, {outcome.changed} of them newly.")
        return outcome
