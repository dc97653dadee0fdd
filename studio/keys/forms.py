"""The form that makes an API key."""

from typing import Any, Final

from django import forms
from django.forms.boundfield import BoundWidget

from studio.agents.forms import ReachForm, with_words
from studio.keys.service import KEY_SCOPES
from studio.people.access import SCOPES

DAYS: Final = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked"))


class KeyForm(ReachForm):
    """The form of a new key: its name, scopes, agents, and how long it is valid."""

    name = forms.CharField(
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="What the activity log calls it, for example the service that uses it.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in KEY_SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["agents:read", "connect"],
        error_messages={"required": "Choose at least one."},
    )
    days = forms.ChoiceField(choices=DAYS, required=False, initial="90", label="Valid for")

    def values(self) -> dict[str, Any]:
        """Return the arguments of keys.create."""
        chosen = self.cleaned_data
        return {
            "name": chosen["name"],
            "scopes": chosen["scopes"],
            "agents": self.chosen_agents(),
            "days": int(chosen["days"]) if chosen["days"] else None,
        }

    def scope_choices(self) -> list[tuple[BoundWidget, str]]:
        """Return each scope's checkbox with the words for what the scope allows."""
        return with_words(self["scopes"], SCOPES)
