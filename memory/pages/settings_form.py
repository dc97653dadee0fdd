"""The form of the Memory tab. Settings that are not posted stay as they are saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from studio.agents.memory_settings import FIELDS, SETTINGS, Setting, words
from studio.models import HISTORY_RUNS
from studio.web import whole_number

_BOX_CHARACTERS: Final = 200
# the error message for a 0 that a setting does not allow
_INSTEAD: Final = {
    "num_history_runs": "0 would not mean none: some versions of Agno then send every run. "
    "Turn session storage off instead.",
}


class Switch(forms.Field):
    """A switch, posted as "on" or "off". Unlike a checkbox, a missing one is not off."""

    widget = forms.TextInput

    def prepare_value(self, value: Any) -> Any:
        return words(value) if isinstance(value, bool) else value

    def to_python(self, value: Any) -> bool:
        said = self.prepare_value(value)
        if said not in ("on", "off"):
            raise ValidationError("Choose on or off.")
        return bool(said == "on")


class WholeNumber(forms.Field):
    """A whole number within limits, in ASCII digits. `instead` is the error for 0, if 0 is not allowed."""

    widget = forms.TextInput

    def __init__(self, setting: Setting) -> None:
        super().__init__(label=setting.label)
        self.least, self.most = setting.least, setting.most
        self.instead = _INSTEAD.get(setting.name, "")
        self.wrong = f"Enter a whole number from {self.least} to {self.most}, in digits only."

    def prepare_value(self, value: Any) -> str:
        return str(value).replace("\0", "\ufffd")[:_BOX_CHARACTERS]

    def to_python(self, value: Any) -> int:
        number = whole_number("" if value is None else str(value).strip())
        if number == 0 and self.instead:
            raise ValidationError(self.instead)
        if number is None or not self.least <= number <= self.most:
            raise ValidationError(self.wrong)
        return number


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one setting that is not saved yet, in words."""

    name: str
    label: str
    before: str
    after: str


class SettingsForm(forms.Form):
    """The settings and the version that they were changed from; `initial` has the saved ones."""

    version = forms.Field(required=False)

    def __init__(self, saved: Mapping[str, Any], version: int, data: Any = None) -> None:
        super().__init__(data, initial={**saved, "version": version}, auto_id="%s")
        for setting in SETTINGS:
            field = Switch(label=setting.label) if setting.is_switch else WholeNumber(setting)
            # a browser does not post a disabled control, so a missing one must not mean off or empty
            field.disabled = data is not None and setting.name not in data
            self.fields[setting.name] = field

    @classmethod
    def of_values(cls, saved: Mapping[str, Any], version: int, values: Mapping[str, Any]) -> "SettingsForm":
        """Return the form as if somebody had typed `values` on top of what is saved."""
        typed = {name: words(value) for name, value in values.items()}
        return cls(saved, version, {**typed, "version": str(version)})

    @property
    def base(self) -> int:
        """The version that was changed, 0 if the form does not have it, which conflicts with any saved version."""
        return whole_number(str(self.data.get("version", ""))) or 0

    @property
    def depth(self) -> int:
        """The number of history runs that the form shows, or the saved one if it shows no valid number."""
        number = whole_number(str(self["num_history_runs"].value()).strip())
        return number if number and number <= HISTORY_RUNS[1] else int(self.initial["num_history_runs"])

    @property
    def focus(self) -> str:
        """The field to put the focus on: the first with an error, else the first that was changed."""
        return next((name for name in FIELDS if name in self.errors), next((c.name for c in self.changes()), ""))

    def wanted(self) -> dict[str, Any]:
        """Return the posted settings, checked."""
        return {name: self.cleaned_data[name] for name in FIELDS if name in self.data}

    def changes(self) -> list[Change]:
        """List the settings that differ from the saved ones, including those with errors."""
        found = []
        for setting in SETTINGS if self.is_bound else ():
            name = setting.name
            saved, shown = words(self.initial[name], name), words(self._shown(name), name)
            if shown != saved:
                found.append(Change(name, setting.label, saved, shown))
        return found

    def _shown(self, name: str) -> Any:
        return self.cleaned_data[name] if self.is_valid() else self[name].value()
