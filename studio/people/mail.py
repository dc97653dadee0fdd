"""Sign-in links by mail, if EMAIL_URL is set."""

import logging
from threading import Thread
from typing import Final

from django.conf import settings
from django.core.mail import send_mail

from studio.models import User

log = logging.getLogger("studio")

_TEXT: Final = """\
{why}

{url}

It works once, {valid}. Whoever did not ask for it can ignore it.
"""


def is_on() -> bool:
    return bool(settings.EMAIL_URL)


def send_link(user: User, path: str, *, is_invitation: bool = False) -> bool:
    """Mail a sign-in link in the background, so that the response time does not tell who has an account."""
    if not is_on():
        return False
    why = "You are invited to Agent Studio. Open this link and set a password:"
    text = _TEXT.format(
        why=why if is_invitation else "This link signs you in to Agent Studio, where you can set a new password:",
        url=settings.PUBLIC_URL + path,
        valid="within a week" if is_invitation else "within an hour",
    )
    subject = "Invitation to Agent Studio" if is_invitation else "Sign in to Agent Studio"
    Thread(target=_send, args=(subject, text, user.email), daemon=True).start()
    return True


def _send(subject: str, text: str, to: str) -> None:
    try:
        send_mail(subject, text, None, [to])
    except OSError as error:
        # smtplib's errors are OSErrors; only the type is logged, because a traceback could show the link
        log.warning("mail was not sent: %s", type(error).__name__)
