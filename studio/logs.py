"""What the server says about itself."""

import logging
import re

_LINK = re.compile(r"(sign-in/+once/+)[^/\s?'\"]+", re.IGNORECASE)


class Formatter(logging.Formatter):
    """Leaves the token out of a one-time link: whoever reads the log must not come in by it."""

    def format(self, record: logging.LogRecord) -> str:
        return _LINK.sub(r"\1…", super().format(record))
