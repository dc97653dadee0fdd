"""Forms about agents, and the choice of agents that other forms share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.forms.boundfield import BoundField, BoundWidget

from studio.agents.icon import is_icon
from studio.agents.provision import EDITABLE
from studio.models import Agent

if TYPE_CHECKING:
    _AgentModelForm = forms.ModelForm[Agent]
else:
    _AgentModelForm = forms.ModelForm

REACH: Final = (("all", "All agents, also those made later"), ("some", "Only these:"))


class AgentForm(_AgentModelForm):
    """The fields of an agent that an admin edits. `values` go to agents.provision, which compares and saves."""

    class Meta:
        model = Agent
        fields = EDITABLE
        widgets: ClassVar = {
            "icon": forms.TextInput(attrs={"class": "short", "autocomplete": "off"}),
            "instructions": forms.Textarea(attrs={"rows": 6}),
            "description": forms.TextInput(),
        }
        labels: ClassVar = {"model_provider": "Model provider", "model_name": "Model"}
        help_texts: ClassVar = {
            "icon": "One emoji or two letters. Without it, the first letters of the name.",
            "framework": "Threads are stored for Agno agents. Other frameworks have an agent here, but no threads.",
            "instructions": "What the agent is told. For your own record; up to 20,000 characters.",
            "status": "An inactive agent keeps its threads. It is marked in the list.",
        }

    def clean_icon(self) -> str:
        icon: str = self.cleaned_data["icon"]
        if not is_icon(icon):
            raise forms.ValidationError("Use one emoji or at most two letters.")
        return icon

    def values(self) -> dict[str, Any]:
        """Return the fields of an agent, without its id."""
        return {name: self.cleaned_data[name] for name in EDITABLE}


class NewAgentForm(AgentForm):
    agent_id = forms.CharField(
        label="Id",
        required=False,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "data-agent-id": ""}
        ),
    )


class ReachForm(forms.Form):
    """A choice between all agents and some of them."""

    reach = forms.ChoiceField(choices=REACH, widget=forms.RadioSelect, initial="all")
    agents = forms.ModelMultipleChoiceField(
        Agent.objects.only("id", "name", "icon"), widget=forms.CheckboxSelectMultiple, required=False
    )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        # a wrong choice of agents has its own error already
        if values.get("reach") == "some" and not values.get("agents") and "agents" not in self.errors:
            self.add_error("agents", "Choose at least one agent, or all of them.")
        return values

    def chosen_agents(self) -> list[Agent] | None:
        """Return the chosen agents, None for all of them."""
        return list(self.cleaned_data["agents"]) if self.cleaned_data["reach"] == "some" else None


def with_words(field: BoundField, words: Mapping[str, str]) -> list[tuple[BoundWidget, str]]:
    """Pair each box of a choice with the words for its value."""
    return [(box, words[box.data["value"]]) for box in field.subwidgets]
