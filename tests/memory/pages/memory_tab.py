"""The Memory tab, its form, and another person who saves."""

from typing import Any

from django.http import HttpResponse
from django.test import Client

from studio.agents import memory_settings
from studio.models import Agent, MemorySettings
from tests.markup import Form, Page
from tests.world import DANA, HTMX

ADA = "/agents/agt-ada/memory/"
RESTORE = "/agents/agt-ada/memory/restore/"
PART = {**HTMX, "HX-Target": "memory"}


def saved(agent: Agent) -> MemorySettings:
    return MemorySettings.objects.get(agent=agent)


def by_dana(agent: Agent, **values: Any) -> MemorySettings:
    return memory_settings.save(DANA, agent, values, saved(agent).version)


def form(response: HttpResponse) -> Form:
    """The settings form as a browser would send it: disabled controls are not in it."""
    return next(one for one in Page(response.content.decode()).forms if one.action == ADA and one.method == "post")


def filled(client: Client, **changes: str) -> dict[str, list[str]]:
    """The page's form with some fields typed over."""
    return {**form(client.get(ADA)).fields, **{name: [value] for name, value in changes.items()}}


def langchain(agent: Agent) -> None:
    agent.framework = "langchain"
    agent.save()
