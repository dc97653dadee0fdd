"""Agents with and without a schema."""

from studio.models import Agent, MemorySettings

LIST = "/agents/"


def row_only(agent_id: str, name: str) -> Agent:
    """An agent whose schema is missing, as after a half restored backup."""
    agent = Agent.objects.create(id=agent_id, name=name, schema_name="ag_" + agent_id.replace("-", "_"))
    MemorySettings.objects.create(agent=agent)
    return agent
