"""The format of the server's log."""

import logging
import re

_LINK = re.compile(r"(sign-in/+once/+)[^/\s?'\"]+", re.IGNORECASE)


class Formatter(logging.Formatter):
    """A formatter that removes the tokens of one-time links, so that nobody can sign in with the log."""

    def format(self, record: logging.LogRecord) -> str:
        return _LINK.sub(r"\1…", super().format(record))
