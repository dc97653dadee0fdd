"""The rule by which Agno sends a run to the model as history. Pure."""

from memory.transcript.model import SKIPPED, Run


def is_sent(run: Run) -> bool:
    """Tell whether a run can be sent: no sub-run, not failed, paused or cancelled, and of an agent or a team."""
    return run.owned and not run.parent_run_id and run.status not in SKIPPED
