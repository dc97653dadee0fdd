"""Which runs Agno sends to the model as history. Pure."""

from memory.transcript.model import SKIPPED, Run


def is_sent(run: Run) -> bool:
    """Whether a run can be history at all: it is no sub-run, did not fail or stop, and Agno reads it."""
    return run.owned and not run.parent_run_id and run.status not in SKIPPED
