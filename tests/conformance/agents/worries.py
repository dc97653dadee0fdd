"""What Agno complains of, which an agent of the studio must never give it a reason for."""

import logging
import os
import re
import warnings

LOGGERS = ("agno", "agno-team", "agno-workflow")
CREATES = re.compile(r"(creat|migrat)\w*\W.*(schema|table|index)", re.IGNORECASE)


class Worries(logging.Handler):
    """Keep warnings, and any line about making schemas, tables or indexes."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        logging.captureWarnings(True)
        warnings.simplefilter("default")
        logging.getLogger("py.warnings").addHandler(self)
        # Otherwise Agno makes a schema or a table, where it can, without a word.
        os.environ["AGNO_DEBUG"] = "true"
        for name in LOGGERS:
            logger = logging.getLogger(name)
            logger.handlers = [self]
            logger.setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.levelno >= logging.WARNING or (CREATES.search(line) and "already exists" not in line):
            self.lines.append(f"{record.levelname}: {line}")
