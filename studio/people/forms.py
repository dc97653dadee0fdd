"""Forms that invite a person and give a role."""

from typing import Any, Final

from django import forms
from django.forms.boundfield import BoundWidget

from studio.agents.forms import ReachForm, with_words
from studio.models import Agent, Grant
from studio.visible import visible

ROLE_WORDS: Final = {
    "viewer": "sees settings and the lists of threads, no content",
    "support": "sees what a viewer sees, and reads transcripts",
    "operator": "sees what a viewer sees, and changes memory settings",
    "privacy": "reads, downloads and deletes threads",
    "admin": "all of it, and agents, people, keys and the audit log",
}


class InviteForm(ReachForm):
    """The form that invites a person: email, name, role and agents."""

    email = forms.EmailField(max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    name = forms.CharField(
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="As pages and the audit log call them. Left empty, that is the email.",
    )
    role = forms.ChoiceField(choices=Grant.Role.choices, widget=forms.RadioSelect, initial="viewer")

    def values(self) -> dict[str, Any]:
        """Return the arguments of people.invite."""
        chosen = self.cleaned_data
        return {
            "email": chosen["email"],
            "name": " ".join(chosen["name"].split()),
            "role": chosen["role"],
            "agents": self.chosen_agents(),
        }

    def role_choices(self) -> list[tuple[BoundWidget, str]]:
        """Return each role's radio button with the words for what the role may do."""
        return with_words(self["role"], ROLE_WORDS)


class AgentField(forms.ModelChoiceField):  # type: ignore[type-arg]  # as Django has it
    """A choice of agents, which Django's own template writes."""

    def label_from_instance(self, agent: Agent) -> str:
        return visible(str(agent))


class RoleForm(forms.Form):
    """The form that gives a person another role, on one agent or all of them."""

    role = forms.ChoiceField(choices=Grant.Role.choices, initial="viewer")
    agent = AgentField(Agent.objects.only("id", "name", "icon"), required=False, empty_label="All agents", label="On")
