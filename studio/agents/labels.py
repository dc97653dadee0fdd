"""The labels of what can be changed, as the forms have them: a log that names a field names it as they do."""

from typing import Final

from studio.agents.forms import AgentForm
from studio.agents.memory_settings import SETTINGS

_LABELS: Final = {name: str(field.label) for name, field in AgentForm.base_fields.items()} | {
    setting.name: setting.label for setting in SETTINGS
}


def label(name: str) -> str:
    """Return the label of a field of an agent or of its settings; any other name is written as words."""
    return _LABELS.get(name) or name.replace("_", " ").capitalize()
