"""The form that makes an API key."""

from typing import Any, Final

from django import forms

from studio.keys.service import KEY_SCOPES
from studio.models import Agent
from studio.people.access import SCOPES

DAYS: Final = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked"))
REACH: Final = (("all", "All agents, also those made later"), ("some", "Only these:"))


class KeyForm(forms.Form):
    """What a key is called, what it may do, where, and for how long."""

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
    reach = forms.ChoiceField(choices=REACH, widget=forms.RadioSelect, initial="all")
    agents = forms.ModelMultipleChoiceField(
        Agent.objects.only("id", "name", "icon"), widget=forms.CheckboxSelectMultiple, required=False
    )
    days = forms.ChoiceField(choices=DAYS, required=False, initial="90", label="Valid for")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if values.get("reach") == "some" and not values.get("agents") and "agents" not in self.errors:
            self.add_error("agents", "Choose at least one agent, or all of them.")
        return values

    def values(self) -> dict[str, Any]:
        """Return the arguments of keys.create."""
        chosen = self.cleaned_data
        return {
            "name": chosen["name"],
            "scopes": chosen["scopes"],
            "agents": list(chosen["agents"]) if chosen["reach"] == "some" else None,
            "days": int(chosen["days"]) if chosen["days"] else None,
        }

    def scope_choices(self) -> list[tuple[Any, str]]:
        """Each scope's checkbox beside what the scope allows."""
        return [(box, SCOPES[scope]) for box, scope in zip(self["scopes"].subwidgets, KEY_SCOPES, strict=True)]
