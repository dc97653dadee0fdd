"""The form of the Memory tab: strict about numbers, explicit about switches, silent about what is absent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from studio.agents.memory_settings import FIELDS, SETTINGS, Setting, words
from studio.models import HISTORY_RUNS
from studio.web import whole_number

_BOX_CHARACTERS: Final = 200
# what is said of a zero that is not possible
_INSTEAD: Final = {
    "num_history_runs": "0 would not mean none: some versions of Agno then send every run. "
    "Turn session storage off instead.",
}


class Switch(forms.Field):
    """On or off, posted as a word. A field that is not posted is neither."""

    widget = forms.TextInput

    def prepare_value(self, value: Any) -> Any:
        return words(value) if isinstance(value, bool) else value

    def to_python(self, value: Any) -> bool:
        said = self.prepare_value(value)
        if said not in ("on", "off"):
            raise ValidationError("Choose on or off.")
        return bool(said == "on")


class WholeNumber(forms.Field):
    """A whole number within limits, in ASCII digits. `instead` answers a zero that is not possible."""

    widget = forms.TextInput

    def __init__(self, setting: Setting) -> None:
        super().__init__(label=setting.label)
        self.least, self.most = setting.least, setting.most
        self.instead = _INSTEAD.get(setting.name, "")

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
    """The settings and the version they were changed from; `initial` is what is saved now."""

    version = forms.Field(required=False)

    def __init__(self, saved: Mapping[str, Any], version: int, data: Any = None) -> None:
        super().__init__(data, initial={**saved, "version": version}, auto_id="%s")
        for setting in SETTINGS:
            field = Switch(label=setting.label) if setting.is_switch else WholeNumber(setting)
            # a disabled control is not posted: absent means "as saved", and never off or empty
            field.disabled = data is not None and setting.name not in data
            self.fields[setting.name] = field

    @classmethod
    def of_values(cls, saved: Mapping[str, Any], version: int, values: Mapping[str, Any]) -> "SettingsForm":
        """Return the form as if `values` had been typed on top of what is saved."""
        typed = {name: words(value) for name, value in values.items()}
        return cls(saved, version, {**typed, "version": str(version)})

    @property
    def base(self) -> int:
        """The version that was changed, 0 where the form does not say it: then everything conflicts."""
        return whole_number(str(self.data.get("version", ""))) or 0

    @property
    def depth(self) -> int:
        """The number of history runs that the form shows, or the saved one where that is not a number."""
        number = whole_number(str(self["num_history_runs"].value()).strip())
        return number if number and number <= HISTORY_RUNS[1] else int(self.initial["num_history_runs"])

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
        for setting in SETTINGS if self.is_bound else ():
            name = setting.name
            saved, shown = words(self.initial[name], name), words(self._shown(name), name)
            if shown != saved:
                found.append(Change(name, setting.label, saved, shown))
        return found

    def _shown(self, name: str) -> Any:
        return self.cleaned_data[name] if self.is_valid() else self[name].value()
