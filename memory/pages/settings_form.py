"""The form of the Memory tab: strict about numbers, explicit about switches, silent about what is absent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from studio.agents.memory_settings import FIELDS, RUNS, TOOL_CALLS
from studio.web import whole_number

_BOX_CHARACTERS: Final = 200
LABELS: Final = {
    "session_storage": "Session storage",
    "num_history_runs": "No. of history runs",
    "max_tool_calls_from_history": "Max tool calls from history",
    "session_summaries": "Session summaries",
}


def words(name: str, value: Any) -> str:
    """Say a setting's value as the page does: on, off, no cap, or the number."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "no cap" if name == "max_tool_calls_from_history" and value == 0 else str(value)


class Switch(forms.Field):
    """On or off, posted as a word. A field that is not posted is neither."""

    widget = forms.TextInput

    def prepare_value(self, value: Any) -> Any:
        return words("", value) if isinstance(value, bool) else value

    def to_python(self, value: Any) -> bool:
        said = self.prepare_value(value)
        if said not in ("on", "off"):
            raise ValidationError("Choose on or off.")
        return bool(said == "on")


class WholeNumber(forms.Field):
    """A whole number within limits, in ASCII digits. `instead` answers a zero that is not possible."""

    widget = forms.TextInput

    def __init__(self, limits: tuple[int, int], instead: str = "", **more: Any) -> None:
        super().__init__(**more)
        self.least, self.most = limits
        self.instead = instead

    def prepare_value(self, value: Any) -> str:
        return str(value).replace("\0", "\ufffd")[:_BOX_CHARACTERS]

    def to_python(self, value: Any) -> int:
        number = whole_number("" if value is None else str(value).strip())
        if number == 0 and self.instead:
            raise ValidationError(self.instead)
        if number is None or not self.least <= number <= self.most:
            raise ValidationError(f"Enter a whole number from {self.least} to {self.most}, in digits only.")
        return number


@dataclass(frozen=True, slots=True)
class Change:
    """What saving would change in one setting, in words."""

    name: str
    label: str
    before: str
    after: str


class SettingsForm(forms.Form):
    """The four settings and the version they were changed from; `initial` is what is saved now."""

    version = forms.Field(required=False)
    session_storage = Switch(label=LABELS["session_storage"])
    num_history_runs = WholeNumber(
        RUNS,
        "0 would not mean none: some versions of Agno then send every run. Turn session storage off instead.",
        label=LABELS["num_history_runs"],
    )
    max_tool_calls_from_history = WholeNumber(TOOL_CALLS, label=LABELS["max_tool_calls_from_history"])
    session_summaries = Switch(label=LABELS["session_summaries"])

    def __init__(self, saved: Mapping[str, Any], version: int, data: Any = None) -> None:
        super().__init__(data, initial={**saved, "version": version}, auto_id="%s")
        for name in FIELDS:
            # a disabled control is not posted: absent means "as saved", and never off or empty
            self.fields[name].disabled = data is not None and name not in data

    @classmethod
    def of_values(cls, saved: Mapping[str, Any], version: int, values: Mapping[str, Any]) -> "SettingsForm":
        """Return the form as if `values` had been typed on top of what is saved."""
        typed = {name: words("", value) for name, value in values.items()}
        return cls(saved, version, {**typed, "version": str(version)})

    @property
    def base(self) -> int:
        """The version that was changed, 0 where the form does not say it: then everything conflicts."""
        return whole_number(str(self.data.get("version", ""))) or 0

    @property
    def depth(self) -> int:
        """The number of history runs that the form shows, or the saved one where that is not a number."""
        number = whole_number(str(self["num_history_runs"].value()).strip())
        return number if number and number <= RUNS[1] else int(self.initial["num_history_runs"])

    @property
    def focus(self) -> str:
        """The field to look at first: the first error, else the first change."""
        return next((name for name in FIELDS if name in self.errors), next((c.name for c in self.changes()), ""))

    def wanted(self) -> dict[str, Any]:
        """Return the posted settings, checked."""
        return {name: self.cleaned_data[name] for name in FIELDS if name in self.data}

    def changes(self) -> list[Change]:
        """List what differs from what is saved, also what cannot be saved as it stands."""
        found = []
        for name in FIELDS if self.is_bound else ():
            saved, shown = words(name, self.initial[name]), words(name, self._shown(name))
            if shown != saved:
                found.append(Change(name, LABELS[name], saved, shown))
        return found

    def _shown(self, name: str) -> Any:
        return self.cleaned_data[name] if self.is_valid() else self[name].value()
