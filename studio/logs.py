"""The server's log: where it goes, and its format."""

import logging
import re
from typing import Any

_LINK = re.compile(r"(sign-in/+once/+)[^/\s?'\"]+", re.IGNORECASE)


class Formatter(logging.Formatter):
    """A formatter that removes the tokens of one-time links, so that nobody can sign in with the log."""

    def format(self, record: logging.LogRecord) -> str:
        return _LINK.sub(r"\1…", super().format(record))


def to_console(level: str) -> dict[str, Any]:
    """Return Django's LOGGING for a log on the console."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "class": "studio.logs.Formatter",
                "format": "{asctime} {levelname} {name} {message}",
                "style": "{",
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": level},
    }
