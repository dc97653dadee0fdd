"""Forms of the studio's own pages."""

import unicodedata
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms

from studio.agents.provision import EDITABLE
from studio.models import Agent

if TYPE_CHECKING:
    _AgentModelForm = forms.ModelForm[Agent]
else:
    _AgentModelForm = forms.ModelForm

ZERO_WIDTH_JOINER = "\u200d"


def visible_characters(text: str) -> int:
    """Count what an eye sees: an emoji of several code points is one, a flag is two."""
    seen, joined = 0, False
    for character in text:
        # marks, format characters (joiners, tags) and skin tones belong to the character before
        belongs = unicodedata.category(character) in ("Mn", "Me", "Cf") or "\U0001f3fb" <= character <= "\U0001f3ff"
        if not belongs and not joined:
            seen += 1
        joined = character == ZERO_WIDTH_JOINER
    return seen


class AgentForm(_AgentModelForm):
    """What an admin says about an agent. Bound to no instance: services.provision compares and saves."""

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
        if visible_characters(icon) > 2:
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
