"""A password that a guesser tries early is refused, whatever its length.

zxcvbn knows 30,000 of the most used passwords, words and names, and how people vary them: repeated, with a year,
along the keyboard. It asks nobody on the network.
"""

from threading import Lock
from typing import Any, Final

from django.core.exceptions import ValidationError

# of 0 to 4; below it fewer than 100 million guesses are enough
_WANTED: Final = 3
# longer ones are checked by their beginning, which bounds the time
_READ: Final = 72
_TOO_EASY: Final = "This password is easy to guess. Take four or more words that do not belong together."
# the library keeps what is known of the person in a table that all threads share
_one_at_a_time: Final = Lock()


class GuessableValidator:
    """Refuses passwords that are guessed early, those made of the person's own email and name among them."""

    def validate(self, password: str, user: Any = None) -> None:
        # imported when a password is set: its lists are 15 MB, which most processes never need
        from zxcvbn import zxcvbn

        own = ["agent", "studio", *_words_of(user)]
        with _one_at_a_time:
            found = zxcvbn(password[:_READ], user_inputs=own)
        if found["score"] < _WANTED:
            raise ValidationError(_TOO_EASY, code="password_guessable")

    def get_help_text(self) -> str:
        return "Your password can’t be one that is easy to guess."


def _words_of(user: Any) -> list[str]:
    whole = [getattr(user, "email", ""), getattr(user, "name", "")]
    parts = " ".join(whole).replace("@", " ").replace(".", " ").split()
    return [word for word in (*whole, *parts) if word]
