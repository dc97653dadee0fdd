"""Bring the four demo agents on stage with their threads and settings, and take them off again."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from memory.demo import writer
from memory.demo.cast import AGENTS, DemoAgent
from studio.agents import memory_settings, provision
from studio.audit.record import Actor
from studio.models import Agent, MemorySettings, MemorySettingsVersion


def missing() -> list[DemoAgent]:
    """List the demo agents that are not there."""
    there = set(Agent.objects.filter(pk__in=[one.id for one in AGENTS]).values_list("pk", flat=True))
    return [one for one in AGENTS if one.id not in there]


def remove() -> list[str]:
    """Remove the demo agents that are there, with everything in them, and return their names."""
    agents = list(Agent.objects.filter(pk__in=[one.id for one in AGENTS]))
    for agent in agents:
        provision.remove_agent(Actor.system(), agent)
    return [agent.name for agent in agents]


def make(one: DemoAgent) -> int:
    """Make one demo agent, in one transaction, and return how many threads it was given."""
    now = timezone.now()
    threads = writer.threads(one.id, now.timestamp())
    with transaction.atomic():
        agent = provision.create_agent(Actor.system(), agent_id=one.id, **one.fields)
        _settings(agent, one, now)
        writer.write(agent, threads)
    return len(threads)


def _settings(agent: Agent, one: DemoAgent, now: datetime) -> None:
    """Save the settings as they came about, and sign and date the versions back to when they would have.

    The audit log tells the truth instead: the studio made them all, now.
    """
    signed = [("Agent Studio", float(one.days_old))]
    for version, (who, days_ago, values) in enumerate(one.saves, start=1):
        memory_settings.save(Actor.system(), agent, values, version)
        signed.append((who, days_ago))
    for version, (who, days_ago) in enumerate(signed, start=1):
        date = now - timedelta(days=days_ago)
        MemorySettingsVersion.objects.filter(agent=agent, version=version).update(actor=who, created_at=date)
    MemorySettings.objects.filter(agent=agent).update(updated_at=now - timedelta(days=signed[-1][1]))
    Agent.objects.filter(pk=agent.pk).update(created_at=now - timedelta(days=one.days_old))
